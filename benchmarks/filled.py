"""Servers that hold many short posts and their points already: what is measured costs more with each."""

from __future__ import annotations

import gc
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import psutil

from benchmarks.world import PORTS
from twin_assets.models.change import REVISION_BITS, Marker
from twin_assets.models.generation import Generation
from twin_assets.models.kinds import DataType, Snapshot
from twin_assets.models.recipe import VectorRecipe
from twin_assets.operations.bootstrap import ensure_generations
from twin_assets.operations.processors import Processors
from twin_assets.operations.twin import Twin, open_twin
from twin_assets.processing.dispatch import RawDispatcher
from twin_assets.settings import load_settings
from twin_assets.stack.stack import LocalStack
from twin_assets.store import points
from twin_assets_tests.free_ports import free_port

POSTS = DataType.POSTS
PAGE = 500
WORDS = 150
SAMPLE_S = 0.05


@contextmanager
def running_servers(folder: Path, *, model: str = "hash-32") -> Iterator[Twin]:
    """Run servers of their own, empty; one model for all, the hash encoder unless told otherwise."""
    os.environ["TWIN_STATE_DIR"] = str(folder)
    for name in PORTS:
        os.environ[f"TWIN_LOCAL_{name.upper()}_PORT"] = str(free_port())
    stack = LocalStack(load_settings(), report=print)
    stack.up()
    try:
        with open_twin(load_settings(text_model=model, code_model=model)) as twin:
            ensure_generations(twin, stop=threading.Event())
            yield twin
    finally:
        stack.down()


def write(twin: Twin, numbers: range) -> None:
    """Write documents and their points, all at one revision, and say that everything is applied."""
    database = twin.source.client[twin.settings.mongodb_database]
    live = [live_posts(twin, snapshot) for snapshot in Snapshot]
    processors = Processors.of(twin.settings)
    for start in range(numbers.start, numbers.stop, PAGE):
        documents = [_post(number) for number in range(start, min(start + PAGE, numbers.stop))]
        database[POSTS.value].insert_many(documents)
        revision = twin.source.now()
        for generation in live:
            rows = [row for each in documents for row in _points(processors, generation, each, revision)]
            twin.store.upsert(generation.collection, rows, revision=revision)
    marker = Marker(position=twin.source.now() + (3600 << REVISION_BITS), sent_at=datetime.now(UTC))
    twin.meta.store_markers(dict.fromkeys(range(twin.settings.rabbitmq_queues), marker))


class Watch:
    """What something took: seconds, processor seconds of this process, and how far its memory grew."""

    seconds = 0.0
    processor_s = 0.0
    growth_mb = 0.0


@contextmanager
def watched() -> Iterator[Watch]:
    """Time what is done, and follow the memory that this process holds meanwhile."""
    watch, stop, process = Watch(), threading.Event(), psutil.Process()
    gc.collect()
    before = process.memory_info().rss

    def follow() -> None:
        while not stop.wait(SAMPLE_S):
            watch.growth_mb = max(watch.growth_mb, (process.memory_info().rss - before) / 2**20)

    follower = threading.Thread(target=follow)
    follower.start()
    started, spent = time.perf_counter(), time.process_time()
    try:
        yield watch
    finally:
        watch.seconds, watch.processor_s = time.perf_counter() - started, time.process_time() - spent
        stop.set()
        follower.join()


def live_posts(twin: Twin, snapshot: Snapshot) -> Generation:
    """Return the live generation of the posts."""
    live = twin.live_generation(snapshot, POSTS)
    if live is None:
        raise AssertionError(snapshot)
    return live


def _post(number: int) -> dict:
    text = " ".join(f"w{number * 7 + word}" for word in range(WORDS))
    return {"_id": number, "platform": "bench", "author_id": "bench", "content": {"text": text}}


def _points(processors: Processors, generation: Generation, document: dict, revision: int) -> Iterator:
    raw = RawDispatcher.dispatch(POSTS, f"int:{document['_id']}", document)
    recipe = generation.recipe
    if not isinstance(recipe, VectorRecipe):
        cleaned = processors.clean(recipe, raw)
        yield points.document_head(generation, cleaned, revision=revision, chunk_count=0, settled=True)
        return
    cleaned = processors.clean(recipe.cleaned, raw)
    hashes = {"source_hash": cleaned.source_hash, "content_hash": cleaned.content_hash}
    chunks = processors.embed(recipe, processors.chunk(recipe, cleaned))
    for chunk in chunks:
        yield points.chunk_point(chunk, revision=revision, **hashes)
    yield points.document_head(generation, cleaned, revision=revision, chunk_count=len(chunks), settled=True)
