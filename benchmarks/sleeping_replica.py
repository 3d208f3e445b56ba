"""One replica of the stream whose encoder sleeps: bound by a model, but without the multiplying.

A process of its own, started by `benchmarks.replicas`: `python -m benchmarks.sleeping_replica 0 10`.
"""

from __future__ import annotations

import signal
import sys
import threading
import time
from collections.abc import Sequence

import numpy as np

from twin_assets.operations.twin import open_twin
from twin_assets.processing import encoder
from twin_assets.processing.hash_encoder import HashEncoder
from twin_assets.settings import load_settings
from twin_assets.stream.replica import run_stream


class SleepingEncoder(HashEncoder):
    """Takes its time for each text, and no processor."""

    def __init__(self, dimension: int, *, ms: float) -> None:
        super().__init__(dimension)
        self._pause_s = ms / 1000

    def encode(self, texts: Sequence[str]) -> np.ndarray:
        time.sleep(self._pause_s * len(texts))
        return super().encode(texts)


def main() -> None:
    replica, ms = int(sys.argv[1]), float(sys.argv[2])
    encoder._load = lambda recipe, _: SleepingEncoder(recipe.dimension, ms=ms)  # noqa: SLF001 - a stand-in
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    with open_twin(load_settings()) as twin:
        run_stream(twin, replica=replica, stop=stop)


if __name__ == "__main__":
    main()
