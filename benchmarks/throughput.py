"""Chunks per second of stream and rebuild, against the encoder alone on the same chunks in the same run.

The ratio of rates is what a person sees, and suffers from whatever else the machine does meanwhile. The
ratio of processor time does not: it says which share of its work a part spends in the encoder.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from qdrant_client import models as q

from benchmarks.readiness import worker_of
from benchmarks.report import Figures
from benchmarks.texts import articles
from benchmarks.world import World, wait_for, wait_in_step
from twin_assets.models.chunk import ChunkModel
from twin_assets.models.kinds import DataType, Snapshot
from twin_assets.operations.processors import Processors
from twin_assets.operations.rebuild import rebuild
from twin_assets.processing.dispatch import RawDispatcher
from twin_assets.processing.recipes import vector_recipe
from twin_assets.source.writer import storable
from twin_assets.store import filters


@dataclass(frozen=True)
class Cost:
    """What some chunks took: seconds on the clock, and seconds of processor time."""

    chunks: int
    seconds: float
    processor_s: float

    @property
    def rate(self) -> float:
        return self.chunks / self.seconds


def measure_throughput(world: World, *, documents: int) -> Figures:
    """Encoder, stream, encoder, rebuild, encoder: each part is compared with the encoder around it."""
    raw = articles(documents, prefix="bench")
    processors = Processors.of(world.settings)
    chunks = _chunks(world, processors, raw)
    _encode(world, processors, chunks[:16])
    alone = [_encode(world, processors, chunks)]
    stream = _stream(world, raw, expected=len(chunks))
    alone.append(_encode(world, processors, chunks))
    rebuilt = _rebuild(world, expected=len(chunks))
    alone.append(_encode(world, processors, chunks))
    return {
        "documents": documents,
        "chunks": len(chunks),
        "encoder_chunks_per_s": statistics.median(cost.rate for cost in alone),
        "encoder_spread": max(cost.rate for cost in alone) / min(cost.rate for cost in alone),
        "stream_chunks_per_s": stream.rate,
        "stream_to_encoder": stream.rate / statistics.mean(cost.rate for cost in alone[:2]),
        "stream_encoder_share": _processor_s(alone[:2]) / stream.processor_s,
        "rebuild_chunks_per_s": rebuilt.rate,
        "rebuild_to_encoder": rebuilt.rate / statistics.mean(cost.rate for cost in alone[1:]),
        "rebuild_encoder_share": _processor_s(alone[1:]) / rebuilt.processor_s,
    }


def _processor_s(costs: Sequence[Cost]) -> float:
    return statistics.mean(cost.processor_s for cost in costs)


def _chunks(world: World, processors: Processors, raw: Sequence[dict]) -> list[ChunkModel]:
    recipe = vector_recipe(world.settings, DataType.ARTICLES)
    found: list[ChunkModel] = []
    for document in raw:
        checked = RawDispatcher.dispatch(DataType.ARTICLES, f"str:{document['_id']}", document)
        found += processors.chunk(recipe, processors.clean(recipe.cleaned, checked))
    return found


def _encode(world: World, processors: Processors, chunks: Sequence[ChunkModel]) -> Cost:
    """Encode all at once: sorted by length over everything, equal texts once, which is its best case."""
    recipe = vector_recipe(world.settings, DataType.ARTICLES)
    return _timed(len(chunks), lambda: processors.embed(recipe, chunks), time.process_time)


def _stream(world: World, raw: Sequence[dict], *, expected: int) -> Cost:
    worker = worker_of(world, "stream_features")

    def write() -> None:
        world.twin.writer.write(DataType.ARTICLES, [storable(document) for document in raw])
        _await_settled(world, documents=len(raw))

    cost = _timed(expected, write, lambda: sum(worker.cpu_times()[:2]))
    wait_in_step(world)
    live = world.twin.live_generation(Snapshot.VECTOR, DataType.ARTICLES)
    _same(world.twin.store.count_chunks(live.collection), expected)
    return cost


def _await_settled(world: World, *, documents: int) -> None:
    """Wait until every document is complete for readers; the next marker would tell of it only later."""
    live = world.twin.live_generation(Snapshot.VECTOR, DataType.ARTICLES)
    settled = q.Filter(must=[filters.HEAD, filters.SETTLED])
    wait_for(
        lambda: world.twin.store.count(live.collection, settled) == documents,
        "every document is settled",
        pause_s=0.2,
    )


def _rebuild(world: World, *, expected: int) -> Cost:
    def build() -> None:
        report = rebuild(world.twin, Snapshot.VECTOR, DataType.ARTICLES, reuse_vectors=False)
        _same(report.chunks, expected)
        _same(report.counts.chunks_reused, 0)

    return _timed(expected, build, time.process_time)


def _timed(chunks: int, work: Callable[[], object], processor_s: Callable[[], float]) -> Cost:
    began, spent = time.perf_counter(), processor_s()
    work()
    return Cost(chunks, time.perf_counter() - began, processor_s() - spent)


def _same(made: int, expected: int) -> None:
    if made != expected:
        raise AssertionError(f"{made} chunks instead of {expected}")
