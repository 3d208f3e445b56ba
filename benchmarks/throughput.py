"""Chunks per second of stream and rebuild, against the encoder alone on the same chunks in the same run."""

from __future__ import annotations

import statistics
import time
from collections.abc import Sequence

from benchmarks.report import Figures
from benchmarks.texts import articles
from benchmarks.world import World, wait_in_step
from twin_assets.models.base import DataType, Snapshot
from twin_assets.models.chunk import ChunkModel
from twin_assets.operations.processors import Processors
from twin_assets.operations.rebuild import rebuild
from twin_assets.processing.dispatch import RawDispatcher
from twin_assets.processing.encoder import SLICE
from twin_assets.processing.recipes import vector_recipe
from twin_assets.source.writer import storable


def measure_throughput(world: World, *, documents: int) -> Figures:
    """Encoder, stream, encoder, rebuild, encoder: the encoder's median stands for a noisy machine."""
    raw = articles(documents, prefix="bench")
    chunks = _chunks(world, raw)
    _encode(world, chunks[:SLICE])
    alone = [_encode(world, chunks)]
    stream = _stream(world, raw, expected=len(chunks))
    alone.append(_encode(world, chunks))
    rebuilt = _rebuild(world, expected=len(chunks))
    alone.append(_encode(world, chunks))
    encoder = statistics.median(alone)
    return {
        "documents": documents,
        "chunks": len(chunks),
        "encoder_chunks_per_s": encoder,
        "encoder_spread": max(alone) / min(alone),
        "stream_chunks_per_s": stream,
        "stream_to_encoder": stream / statistics.mean(alone[:2]),
        "rebuild_chunks_per_s": rebuilt,
        "rebuild_to_encoder": rebuilt / statistics.mean(alone[1:]),
    }


def _chunks(world: World, raw: Sequence[dict]) -> list[ChunkModel]:
    recipe = vector_recipe(world.settings, DataType.ARTICLES)
    processors = Processors(max_chunks=world.settings.max_chunks)
    found: list[ChunkModel] = []
    for document in raw:
        checked = RawDispatcher.dispatch(DataType.ARTICLES, f"str:{document['_id']}", document)
        found += processors.chunk(recipe, processors.clean(recipe.cleaned, checked))
    return found


def _encode(world: World, chunks: Sequence[ChunkModel]) -> float:
    """Encode equal texts once, in the product's slices, sorted by length over all: its best case."""
    recipe = vector_recipe(world.settings, DataType.ARTICLES)
    processors = Processors(max_chunks=world.settings.max_chunks)
    distinct = sorted({chunk.content: chunk for chunk in chunks}.values(), key=lambda each: len(each.content))
    began = time.perf_counter()
    for start in range(0, len(distinct), SLICE):
        processors.embed(recipe, distinct[start : start + SLICE])
    return len(chunks) / (time.perf_counter() - began)


def _stream(world: World, raw: Sequence[dict], *, expected: int) -> float:
    began = time.perf_counter()
    world.twin.writer.write(DataType.ARTICLES, [storable(document) for document in raw])
    wait_in_step(world)
    seconds = time.perf_counter() - began
    live = world.twin.live_generation(Snapshot.VECTOR, DataType.ARTICLES)
    held = world.twin.store.count_chunks(live.collection)
    if held != expected:
        raise AssertionError(f"the stream made {held} chunks, the encoder alone was given {expected}")
    return expected / seconds


def _rebuild(world: World, *, expected: int) -> float:
    began = time.perf_counter()
    report = rebuild(world.twin, Snapshot.VECTOR, DataType.ARTICLES)
    seconds = time.perf_counter() - began
    if report.chunks != expected:
        raise AssertionError(f"the rebuild made {report.chunks} chunks, the stream {expected}")
    return expected / seconds
