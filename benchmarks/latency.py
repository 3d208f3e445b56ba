"""From the commit of one document in MongoDB until a search of Qdrant can find it, on an idle stream."""

from __future__ import annotations

import statistics
import time

from benchmarks.report import Figures
from benchmarks.world import World, wait_for, wait_in_step
from twin_assets.models.base import DataType, Snapshot
from twin_assets.source.writer import storable

POLL_S = 0.001
TEXT = "A short post about keeping an index in step with its source, number {}, measured from commit."


def measure_latency(world: World, *, changes: int) -> Figures:
    """Write posts one at a time, each after the one before was seen."""
    wait_in_step(world)
    times = sorted(_once(world, number) for number in range(changes))
    return {
        "latency_changes": changes,
        "commit_to_searchable_p50_ms": statistics.median(times) * 1000,
        "commit_to_searchable_p95_ms": times[int(len(times) * 0.95)] * 1000,
        "commit_to_searchable_max_ms": times[-1] * 1000,
    }


def _once(world: World, number: int) -> float:
    entry = f"latency-{number}"
    document = {"_id": entry, "platform": "bench", "author_id": "bench"}
    live = world.twin.live_generation(Snapshot.VECTOR, DataType.POSTS)
    stored = storable(document | {"content": {"text": TEXT.format(number)}})
    world.twin.writer.write(DataType.POSTS, [stored])
    committed = time.perf_counter()
    wait_for(
        lambda: bool(world.twin.store.chunk_texts(live.collection, f"str:{entry}")), entry, pause_s=POLL_S
    )
    return time.perf_counter() - committed
