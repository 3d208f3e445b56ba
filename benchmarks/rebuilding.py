"""Rebuilds the vectors of the articles again and again until it is ended: a load beside a measurement."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from benchmarks.world import World, wait_for
from twin_assets.models.generation import GenerationStatus
from twin_assets.models.kinds import DataType, Snapshot
from twin_assets.operations.courtesy import Priority, give_way
from twin_assets.operations.rebuild import rebuild
from twin_assets.operations.twin import open_twin
from twin_assets.settings import load_settings

REUSE = "reuse"
END_S = 30


@contextmanager
def rebuilding(world: World, *, reuse_vectors: bool, priority: Priority) -> Iterator[None]:
    """Rebuild in a process of its own, from the moment that the first rebuild has begun to scan."""
    command = [sys.executable, "-m", "benchmarks.rebuilding", *([REUSE] if reuse_vectors else [])]
    process = subprocess.Popen(command, env=os.environ | {"TWIN_REBUILD_PRIORITY": priority})
    try:
        wait_for(lambda: _is_building(world), "a rebuild has begun")
        yield
        if process.poll() is not None:
            raise RuntimeError("the rebuilds ended before the measurement did")
    finally:
        process.terminate()
        process.wait(END_S)


def _is_building(world: World) -> bool:
    return any(known.status is GenerationStatus.BUILDING for known in world.twin.meta.generations())


def main() -> None:
    settings = load_settings()
    give_way(settings.rebuild_priority)
    with open_twin(settings) as twin:
        while True:
            rebuild(twin, Snapshot.VECTOR, DataType.ARTICLES, reuse_vectors=REUSE in sys.argv)


if __name__ == "__main__":
    main()
