"""What more replicas of the stream bring where an encoder is the bottleneck: `python -m benchmarks.replicas`.

Two cores cannot show how a model's multiplying scales, so the encoder sleeps (see `sleeping_replica`), as if
the model ran on a machine of its own. What does cost processor time here, the rest of the stream, is shared
by all replicas, servers and this benchmark. Each turn starts its replicas, waits until every queue has a
consumer, commits the same number of new posts and waits until all are applied. Prints a table and keeps it.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console
from rich.table import Table

from benchmarks.filled import POSTS, live_posts, running_servers
from benchmarks.report import keep
from benchmarks.world import wait_for
from twin_assets.broker.depth import queue_depths
from twin_assets.models.kinds import Snapshot
from twin_assets.operations.twin import Twin
from twin_assets_tests.scenarios.processes import environment_of, long_run

REPLICAS = (1, 2, 4, 8)
WORDS = 150
END_S = 60


def main() -> None:
    arguments = _arguments()
    for name in [name for name in os.environ if name.startswith("TWIN_")]:
        del os.environ[name]
    os.environ["TWIN_RABBITMQ_QUEUES"] = str(arguments.queues)
    figures: dict[str, float] = {"documents": arguments.documents, "queues": arguments.queues}
    table = Table("replicas", "documents/s", "chunks/s", "× 1 replica", "of the ideal")
    with (
        tempfile.TemporaryDirectory(prefix="twin-bench-") as folder,
        running_servers(Path(folder)) as twin,
        long_run(twin.settings, "capture"),
    ):
        base = 0.0
        for turn, replicas in enumerate(REPLICAS):
            seconds, chunks = _turn(twin, turn, replicas, arguments)
            rate = arguments.documents / seconds
            base = base or rate
            figures[f"documents_per_s_{replicas}"] = rate
            figures[f"chunks_per_s_{replicas}"] = chunks / seconds
            gain = rate / base
            cells = [f"{rate:.1f}", f"{chunks / seconds:.1f}", f"{gain:.2f}", f"{gain / replicas:.0%}"]
            table.add_row(str(replicas), *cells)
    Console().print(table)
    print(f"{arguments.documents} posts a turn, {arguments.ms:g} ms a text, {arguments.queues} queues")
    print(f"kept in {keep(figures)}")


def _turn(twin: Twin, turn: int, replicas: int, arguments: argparse.Namespace) -> tuple[float, int]:
    """Return the seconds from the first commit until all is applied, and the chunks that were written."""
    live = live_posts(twin, Snapshot.VECTOR)
    before = twin.store.count_chunks(live.collection)
    with _streaming(twin, replicas, arguments.ms):
        started = time.perf_counter()
        _insert(twin, turn, arguments.documents)
        target = twin.source.now()
        wait_for(lambda: (twin.meta.watermark(arguments.queues) or 0) >= target, "all is applied")
        seconds = time.perf_counter() - started
    return seconds, twin.store.count_chunks(live.collection) - before


@contextmanager
def _streaming(twin: Twin, replicas: int, ms: float) -> Iterator[None]:
    settings = twin.settings.model_copy(update={"stream_replicas": replicas, "marker_interval_s": 0.2})
    command = [sys.executable, "-m", "benchmarks.sleeping_replica"]
    environment = environment_of(settings)
    processes = [
        subprocess.Popen([*command, str(each), str(ms)], env=environment) for each in range(replicas)
    ]
    try:
        wait_for(lambda: all(_consumers(twin)), "every queue has a consumer")
        yield
    finally:
        for process in processes:
            process.terminate()
        for process in processes:
            process.wait(END_S)


def _consumers(twin: Twin) -> tuple[int, ...]:
    return queue_depths(twin.settings.require_url("rabbitmq_url"), twin.settings.rabbitmq_queues).consumers


def _insert(twin: Twin, turn: int, documents: int) -> None:
    collection = twin.source.client[twin.settings.mongodb_database][POSTS.value]
    collection.insert_many(
        {
            "_id": f"{turn}-{number}",
            "platform": "bench",
            "author_id": "bench",
            "content": {"text": " ".join(f"t{turn}w{number * 7 + word}" for word in range(WORDS))},
        }
        for number in range(documents)
    )


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="benchmarks.replicas", description=__doc__)
    parser.add_argument("--documents", type=int, default=600, help="per turn")
    parser.add_argument("--ms", type=float, default=20.0, help="how long the encoder sleeps for each text")
    parser.add_argument("--queues", type=int, default=32)
    return parser.parse_args()


if __name__ == "__main__":
    main()
