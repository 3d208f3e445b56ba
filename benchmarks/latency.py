"""From the commit of one document in MongoDB until a search of Qdrant can find it.

One after the other on an idle stream, and at a steady pace of 1 and 10 documents/s, whether the ones before
have arrived or not; then beside rebuilds that take all vectors from another generation, and beside rebuilds
that want the processor for their encoder as the stream does: with the usual courtesy and without.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

from benchmarks.rebuilding import rebuilding
from benchmarks.report import Figures
from benchmarks.texts import articles
from benchmarks.watcher import Watcher, watching
from benchmarks.world import World, wait_in_step
from twin_assets.models.kinds import DataType
from twin_assets.source.writer import storable

# Few distinct texts, which the stream embeds once, but enough chunks for a rebuild to be busy with reading
# and writing; a small one would mostly create and drop collections.
LIBRARY = 600
PACES = ((1, 20), (10, 200))
SHARES = (0.5, 0.95, 0.99)
TEXT = "A short post about keeping an index in step with its source, number {}, measured from commit."

Latencies = dict[str, list[float]]


def measure_latency(world: World, *, changes: int) -> Figures:
    """Write posts one at a time, each after the one before was seen, and at a steady pace."""
    articles_to_rebuild = [storable(each) for each in articles(LIBRARY, prefix="library")]
    world.twin.writer.write(DataType.ARTICLES, articles_to_rebuild)
    wait_in_step(world)
    courteous = world.settings.rebuild_priority
    idle = _measure(world, "idle", changes)
    with rebuilding(world, reuse_vectors=True, priority=courteous):
        reusing = _measure(world, "reusing", changes)
    with rebuilding(world, reuse_vectors=False, priority=courteous):
        encoding = _measure(world, "encoding", changes)
    with rebuilding(world, reuse_vectors=False, priority="normal"):
        discourteous = _measure(world, "discourteous", changes)
    return {
        "latency_changes": changes,
        **_in_ms("commit_to_searchable", idle),
        **_in_ms("beside_reusing_rebuild", reusing),
        **_to_idle("beside_reusing_rebuild", reusing, idle),
        **_to_idle("beside_encoding_rebuild", encoding, idle),
        **_to_idle("beside_encoding_rebuild_of_normal_priority", discourteous, idle),
    }


def _in_ms(name: str, found: Latencies) -> Figures:
    return {
        f"{name}{pace}_p{share * 100:.0f}_ms": _percentile(latencies, share) * 1000
        for pace, latencies in found.items()
        for share in SHARES
    }


def _to_idle(name: str, found: Latencies, idle: Latencies) -> Figures:
    return {
        f"{name}{pace}_p{share * 100:.0f}_to_idle": _percentile(latencies, share)
        / _percentile(idle[pace], share)
        for pace, latencies in found.items()
        for share in SHARES[:2]
    }


def _percentile(latencies: Sequence[float], share: float) -> float:
    return sorted(latencies)[min(len(latencies) - 1, int(len(latencies) * share))]


def _measure(world: World, name: str, changes: int) -> Latencies:
    """Return latencies in seconds: one after the other under an empty name, then by pace."""
    found = {"": _in_turn(world, name, changes)}
    for per_s, count in PACES:
        found[f"_{per_s}_per_s"] = _paced(world, f"{name}-{per_s}", per_s=per_s, changes=count)
    return found


def _in_turn(world: World, name: str, changes: int) -> list[float]:
    with watching(world) as watcher:
        for number in range(changes):
            _write(world, watcher, f"{name}-{number}")
            watcher.await_all()
    return watcher.latencies


def _paced(world: World, name: str, *, per_s: int, changes: int) -> list[float]:
    start = time.perf_counter()
    with watching(world) as watcher:
        for number in range(changes):
            time.sleep(max(0.0, start + number / per_s - time.perf_counter()))
            _write(world, watcher, f"{name}-{number}")
    return watcher.latencies


def _write(world: World, watcher: Watcher, name: str) -> None:
    entry = f"latency-{name}"
    document = {"_id": entry, "platform": "bench", "author_id": "bench"}
    stored = storable(document | {"content": {"text": TEXT.format(name)}})
    world.twin.writer.write(DataType.POSTS, [stored])
    watcher.expect(f"str:{entry}")
