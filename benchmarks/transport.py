"""REST or gRPC for Qdrant: `python -m benchmarks.transport --chunks 4000`.

What the stream and a rebuild ask most: fenced writes of slices, writes of pages, reads of vectors by id,
reads of all heads. In turns over both, several times; seconds on the clock, and processor time of client
and server together, which a stream takes from its encoder. Prints a table with the best of each, and keeps
it.
"""

from __future__ import annotations

import argparse
import os
import random
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil
from qdrant_client import QdrantClient
from qdrant_client import models as q
from rich.console import Console
from rich.table import Table

from benchmarks.filled import live_posts, running_servers
from benchmarks.report import Figures, keep
from twin_assets.models.kinds import Snapshot
from twin_assets.operations.twin import Twin
from twin_assets.processing.encoder import SLICE
from twin_assets.store.point_store import VECTOR_PAGE, WRITE_PAGE, PointStore

MODEL = "hash-384"
ROUNDS = 3
REVISION = 1 << 60
TEXT = "What a chunk of half a thousand characters looks like; " * 9


@dataclass(frozen=True)
class Cost:
    """What something took: seconds on the clock, and processor seconds of client and server."""

    seconds: float
    processor_s: float


def main() -> None:
    parser = argparse.ArgumentParser(prog="benchmarks.transport", description=__doc__)
    parser.add_argument("--chunks", type=int, default=4000)
    chunks = parser.parse_args().chunks
    for name in [name for name in os.environ if name.startswith("TWIN_")]:
        del os.environ[name]
    with (
        tempfile.TemporaryDirectory(prefix="twin-bench-") as folder,
        running_servers(Path(folder), model=MODEL) as twin,
    ):
        costs = _measure(twin, chunks)
    table = Table("what", "transport", "ms a chunk", "processor ms a chunk")
    figures: Figures = {"chunks": chunks}
    for (what, transport), found in costs.items():
        seconds = min(each.seconds for each in found) / chunks * 1000
        processor = min(each.processor_s for each in found) / chunks * 1000
        table.add_row(what, transport, f"{seconds:.3f}", f"{processor:.3f}")
        figures |= {f"{what}_{transport}_ms": seconds, f"{what}_{transport}_processor_ms": processor}
    Console().print(table)
    print(f"kept in {keep(figures)}")


def _measure(twin: Twin, chunks: int) -> dict[tuple[str, str], list[Cost]]:
    points = _points(chunks)
    costs: dict[tuple[str, str], list[Cost]] = {}
    stores = {"REST": twin.store, "gRPC": _over_grpc(twin)}
    server = next(each for each in psutil.Process().children(recursive=True) if each.name() == "qdrant")
    collection = live_posts(twin, Snapshot.VECTOR).collection
    for number in range(ROUNDS):
        for transport, store in stores.items():
            for what, act in _work(store, collection, points, revision=REVISION + number).items():
                costs.setdefault((what, transport), []).append(_cost(server, act))
    stores["gRPC"].close()
    return dict(sorted(costs.items()))


def _work(
    store: PointStore, collection: str, points: Sequence[q.PointStruct], *, revision: int
) -> dict[str, Callable[[], object]]:
    ids = [str(point.id) for point in points]
    return {
        "slices": lambda: _write(store, collection, points, SLICE, revision),
        "pages": lambda: _write(store, collection, points, WRITE_PAGE, revision),
        "vectors": lambda: _read(store, collection, ids),
        "heads": lambda: list(store.scroll(collection, fields=["entry", "revision"])),
    }


def _over_grpc(twin: Twin) -> PointStore:
    store = PointStore(twin.store.url)
    store.client.close()
    store.client = QdrantClient(
        twin.store.url, grpc_port=twin.settings.local_qdrant_grpc_port, prefer_grpc=True, timeout=30
    )
    return store


def _write(
    store: PointStore, collection: str, points: Sequence[q.PointStruct], size: int, revision: int
) -> None:
    for start in range(0, len(points), size):
        store.upsert(collection, points[start : start + size], revision=revision)


def _read(store: PointStore, collection: str, ids: Sequence[str]) -> None:
    for start in range(0, len(ids), VECTOR_PAGE):
        store.client.retrieve(
            collection, list(ids[start : start + VECTOR_PAGE]), with_payload=True, with_vectors=True
        )


def _cost(server: psutil.Process, act: Callable[[], object]) -> Cost:
    def spent() -> float:
        times = server.cpu_times()
        return time.process_time() + times.user + times.system

    started, before = time.perf_counter(), spent()
    act()
    return Cost(time.perf_counter() - started, spent() - before)


def _points(count: int) -> list[q.PointStruct]:
    chance = random.Random(1)
    return [
        q.PointStruct(
            id=f"{number:032x}",
            vector=[chance.gauss(0, 0.05) for _ in range(384)],
            payload={"content": TEXT, "entry": f"int:{number}", "chunk_index": 0, "revision": REVISION},
        )
        for number in range(count)
    ]


if __name__ == "__main__":
    main()
