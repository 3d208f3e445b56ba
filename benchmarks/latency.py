"""From the commit of one document in MongoDB until a search of Qdrant can find it.

One after the other on an idle stream, and at a steady pace of 1 and 10 documents/s, whether the ones before
have arrived or not; then beside rebuilds that take all vectors from another generation, and beside rebuilds
that want the processor for their encoder as the stream does: with the usual courtesy and without.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from benchmarks.rebuilding import rebuilding
from benchmarks.report import Figures
from benchmarks.world import World, wait_for, wait_in_step
from twin_assets.models.kinds import DataType, Snapshot
from twin_assets.source.writer import storable

POLL_S = 0.001
PACES = ((1, 30), (10, 150))
AT_ONCE = 16
TEXT = "A short post about keeping an index in step with its source, number {}, measured from commit."


def measure_latency(world: World, *, changes: int) -> Figures:
    """Write posts one at a time, each after the one before was seen."""
    wait_in_step(world)
    nice = world.settings.rebuild_nice
    idle = _measure(world, "idle", changes)
    paced = _at_all_paces(world, "idle")
    with rebuilding(world, reuse_vectors=True, nice=nice):
        reusing = _measure(world, "reusing", changes)
        paced |= _at_all_paces(world, "beside_reusing_rebuild")
    with rebuilding(world, reuse_vectors=False, nice=nice):
        encoding = _measure(world, "encoding", changes)
    with rebuilding(world, reuse_vectors=False, nice=0):
        discourteous = _measure(world, "discourteous", changes)
    return {
        "latency_changes": changes,
        "commit_to_searchable_p50_ms": _percentile(idle, 0.5),
        "commit_to_searchable_p95_ms": _percentile(idle, 0.95),
        "commit_to_searchable_p99_ms": _percentile(idle, 0.99),
        "commit_to_searchable_max_ms": idle[-1] * 1000,
        **paced,
        **_compared("beside_reusing_rebuild", reusing, idle),
        **_compared("beside_encoding_rebuild", encoding, idle),
        **_compared("beside_encoding_rebuild_nice_0", discourteous, idle),
    }


def _compared(name: str, times: Sequence[float], idle: Sequence[float]) -> Figures:
    return {
        f"{name}_p50_to_idle": _percentile(times, 0.5) / _percentile(idle, 0.5),
        f"{name}_p95_to_idle": _percentile(times, 0.95) / _percentile(idle, 0.95),
    }


def _percentile(times: Sequence[float], share: float) -> float:
    """Return a percentile of sorted times, in milliseconds."""
    return times[min(len(times) - 1, int(len(times) * share))] * 1000


def _measure(world: World, name: str, changes: int) -> list[float]:
    """Return the times of some changes in seconds, sorted."""
    return sorted(_once(world, f"{name}-{number}") for number in range(changes))


def _at_all_paces(world: World, name: str) -> Figures:
    figures: Figures = {}
    for per_s, changes in PACES:
        times = _paced(world, f"{name}-{per_s}", per_s=per_s, changes=changes)
        for share in (0.5, 0.95, 0.99):
            figures[f"{name}_{per_s}_per_s_p{share * 100:.0f}_ms"] = _percentile(times, share)
    return figures


def _paced(world: World, name: str, *, per_s: int, changes: int) -> list[float]:
    """Write at fixed moments; return the times in seconds, sorted, each from its own commit."""
    start = time.perf_counter()
    with ThreadPoolExecutor(AT_ONCE) as threads:
        found = []
        for number in range(changes):
            time.sleep(max(0.0, start + number / per_s - time.perf_counter()))
            found.append(threads.submit(_once, world, f"{name}-{number}"))
        return sorted(each.result() for each in found)


def _once(world: World, name: str) -> float:
    entry = f"latency-{name}"
    document = {"_id": entry, "platform": "bench", "author_id": "bench"}
    live = world.twin.live_generation(Snapshot.VECTOR, DataType.POSTS)
    stored = storable(document | {"content": {"text": TEXT.format(name)}})
    world.twin.writer.write(DataType.POSTS, [stored])
    committed = time.perf_counter()
    wait_for(
        lambda: bool(world.twin.store.chunk_texts(live.collection, f"str:{entry}")), entry, pause_s=POLL_S
    )
    return time.perf_counter() - committed
