"""What an audit costs as a collection grows: `python -m benchmarks.audit --sizes 1000 10000 100000`.

Short posts of two chunks are written straight into MongoDB and Qdrant, as the stream would have; embedding
is no part of it. In full without texts and vectors, in full with them, and what the hourly audit does: 100
changes and its slice. All figures are of one run; prints a table and keeps it.
"""

from __future__ import annotations

import argparse
import gc
import os
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psutil
from rich.console import Console
from rich.table import Table

from benchmarks.report import keep
from benchmarks.world import PORTS
from twin_assets.models.audit_state import AuditState
from twin_assets.models.base import DataType, Snapshot
from twin_assets.models.change import REVISION_BITS, Marker
from twin_assets.models.generation import Generation
from twin_assets.models.recipe import VectorRecipe
from twin_assets.operations.audit import EVERYTHING, AuditReport, audit
from twin_assets.operations.bootstrap import ensure_generations
from twin_assets.operations.processors import Processors
from twin_assets.operations.since_last import audit_since_last
from twin_assets.operations.twin import Twin, open_twin
from twin_assets.processing.dispatch import RawDispatcher
from twin_assets.settings import load_settings
from twin_assets.stack.ports import free_port
from twin_assets.stack.stack import LocalStack
from twin_assets.store import points

POSTS = DataType.POSTS
PAGE = 500
WORDS = 150
SAMPLE_S = 0.05
CHANGED = 100
SINCE_LAST = "changes and a slice"


@dataclass(frozen=True)
class Row:
    """One audit: what it compared, what it took (`processor_s` in this process), how far memory grew."""

    documents: int
    kind: str
    collection: str
    seconds: float
    processor_s: float
    growth_mb: float

    @property
    def milliseconds_each(self) -> float:
        return self.seconds / self.documents * 1000


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.audit", description=__doc__)
    parser.add_argument("--sizes", type=int, nargs="+", default=[1_000, 10_000, 100_000])
    sizes = sorted(parser.parse_args().sizes)
    for name in [name for name in os.environ if name.startswith("TWIN_")]:
        del os.environ[name]
    rows: list[Row] = []
    with tempfile.TemporaryDirectory(prefix="twin-bench-") as folder, running_servers(Path(folder)) as twin:
        written = 0
        for size in sizes:
            write(twin, range(written, size))
            written = size
            for row in measure(twin, size):
                print(f"{row.documents} {row.collection} {row.kind}: {row.seconds:.1f} s", flush=True)
                rows.append(row)
    show(rows)
    figures = {f"{row.documents}_{row.collection}_{row.kind}": asdict(row) for row in rows}
    print(f"kept in {keep(figures)}")  # type: ignore[arg-type]


@contextmanager
def running_servers(folder: Path) -> Iterator[Twin]:
    os.environ["TWIN_STATE_DIR"] = str(folder)
    for name in PORTS:
        os.environ[f"TWIN_LOCAL_{name.upper()}_PORT"] = str(free_port())
    stack = LocalStack(load_settings(), report=print)
    stack.up()
    try:
        with open_twin(load_settings(text_model="hash-32", code_model="hash-32")) as twin:
            ensure_generations(twin, stop=threading.Event())
            yield twin
    finally:
        stack.down()


def write(twin: Twin, numbers: range) -> None:
    """Write documents and their points, all at one revision, and say that everything is applied."""
    database = twin.source.client[twin.settings.mongodb_database]
    live = [_live(twin, snapshot) for snapshot in Snapshot]
    processors = Processors(max_chunks=twin.settings.max_chunks)
    for start in range(numbers.start, numbers.stop, PAGE):
        documents = [_post(number) for number in range(start, min(start + PAGE, numbers.stop))]
        database[POSTS.value].insert_many(documents)
        revision = twin.source.now()
        for generation in live:
            rows = [row for each in documents for row in _points(processors, generation, each, revision)]
            twin.store.upsert(generation.collection, rows, revision=revision)
    marker = Marker(position=twin.source.now() + (3600 << REVISION_BITS), sent_at=datetime.now(UTC))
    twin.meta.store_markers(dict.fromkeys(range(twin.settings.rabbitmq_queues), marker))


def measure(twin: Twin, size: int) -> Iterator[Row]:
    for snapshot in (Snapshot.CLEANED, Snapshot.VECTOR):
        generation = _live(twin, snapshot)
        for kind, with_vectors in (("fields", False), ("texts and vectors", True)):
            with watched() as watch:
                report = audit(twin, generation, with_vectors=with_vectors)
            _require_clean(report, size)
            yield Row(size, kind, generation.alias, watch.seconds, watch.processor_s, watch.growth_mb)
        _touch_some(twin, generation)
        with watched() as watch:
            report = audit_since_last(twin, generation)
        _require_clean(report, size)
        if report.scope == EVERYTHING:
            raise AssertionError(report.scope)
        yield Row(size, SINCE_LAST, generation.alias, watch.seconds, watch.processor_s, watch.growth_mb)


def _touch_some(twin: Twin, generation: Generation) -> None:
    """Say that the last audit was an hour ago, and have some documents changed since."""
    an_hour_ago = datetime.now(UTC) - timedelta(hours=1)
    state = AuditState(
        collection=generation.collection,
        revision=twin.source.now(),
        sliced_at=an_hour_ago,
        cycle_began_at=an_hour_ago,
        covered_at=an_hour_ago,
    )
    twin.audits.save(state)
    database = twin.source.client[twin.settings.mongodb_database]
    for number in range(CHANGED):
        database[POSTS.value].update_one({"_id": number}, {"$set": {"seen": time.time()}})


class Watch:
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


def show(rows: list[Row]) -> None:
    table = Table("documents", "collection", "compared", "s", "processor s", "ms each", "grew by MB")
    for row in rows:
        figures = [f"{row.seconds:.1f}", f"{row.processor_s:.1f}"]
        figures += [f"{row.milliseconds_each:.2f}", f"{row.growth_mb:.0f}"]
        table.add_row(f"{row.documents:,}", row.collection, row.kind, *figures)
    Console().print(table)


def _live(twin: Twin, snapshot: Snapshot) -> Generation:
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


def _require_clean(report: AuditReport, size: int) -> None:
    if report.differences or report.source != size:
        raise AssertionError(f"{report.source} documents, {report.differences}")


if __name__ == "__main__":
    main()
