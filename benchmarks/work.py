"""How much work changes cause, and how that grows: `python -m benchmarks.work --sizes 12 48 192`.

Articles of real text, the bundled model, real servers. **cold**: into an empty store, against the encoder
alone on the same chunks. **warm**: all of them announced again. **edit**: a new paragraph in 1 % of them, at
least in one. **delete**: as many deleted. What was embedded is counted by the stream itself, and what is left
is looked up in Qdrant. The naive way embeds a few of the same chunks. Prints a table and keeps it.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.busy import timed_network
from benchmarks.filled import running_servers
from benchmarks.flows import Flows, running_flows
from benchmarks.naive import naive_seconds_per_chunk
from benchmarks.report import keep
from benchmarks.texts import articles
from benchmarks.world import wait_for
from twin_assets.models.change import Change
from twin_assets.models.chunk import ChunkModel
from twin_assets.models.kinds import DataType, Snapshot
from twin_assets.operations.capture import run_capture
from twin_assets.operations.processors import Processors
from twin_assets.operations.twin import Twin
from twin_assets.processing.dispatch import RawDispatcher
from twin_assets.processing.recipes import vector_recipe
from twin_assets.source.writer import storable
from twin_assets.stream.replica import run_stream
from twin_assets.stream.steps import StreamProgress

MODEL = "all-MiniLM-L6-v2"
NAIVE_CHUNKS = 5
ARTICLES = DataType.ARTICLES
Figures = dict[str, float]


class Stand:
    """The open twin, the flows at work in this process, and what they say that they have embedded."""

    def __init__(self, twin: Twin, flows: Flows, seen: list[StreamProgress]) -> None:
        self.twin = twin
        self.flows = flows
        self.seen = seen
        self.processors = Processors.of(twin.settings)
        self.network = timed_network(twin.settings, vector_recipe(twin.settings, ARTICLES))
        self.documents = twin.source.client[twin.settings.mongodb_database][ARTICLES.value]

    def chunks(self, raw: Sequence[dict[str, Any]]) -> list[ChunkModel]:
        recipe = vector_recipe(self.twin.settings, ARTICLES)
        found: list[ChunkModel] = []
        for document in raw:
            checked = RawDispatcher.dispatch(ARTICLES, f"str:{document['_id']}", document)
            found += self.processors.chunk(recipe, self.processors.clean(recipe.cleaned, checked))
        return found

    def encode(self, chunks: Sequence[ChunkModel]) -> float:
        """Return the seconds that the encoder takes for all at once, which is its best case."""
        started = time.perf_counter()
        self.processors.embed(vector_recipe(self.twin.settings, ARTICLES), chunks)
        return time.perf_counter() - started

    def measured(self, act: Callable[[], object]) -> tuple[float, int]:
        """Act, wait until everything is applied; return the seconds and how many texts were embedded."""
        before, started = self._embedded(), time.perf_counter()
        act()
        self.flows.wait_applied(self.twin, self.twin.source.now(), pause_s=0.01)
        seconds, told = time.perf_counter() - started, len(self.seen)
        # The round that applied the last of it reports behind its markers; markers keep rounds coming.
        wait_for(lambda: len(self.seen) > told + 1, "the stream has reported", pause_s=0.01)
        return seconds, self._embedded() - before

    def write(self, raw: Sequence[dict[str, Any]]) -> None:
        """Insert or replace articles."""
        self.twin.writer.write(ARTICLES, [storable(document) for document in raw])

    def held(self) -> int:
        """Count the articles' chunks that readers see."""
        live = self.twin.live_generation(Snapshot.VECTOR, ARTICLES)
        return 0 if live is None else self.twin.store.count_chunks(live.collection)

    def _embedded(self) -> int:
        return self.seen[-1].counts.chunks_embedded if self.seen else 0


def main() -> None:
    arguments = _arguments()
    for name in [name for name in os.environ if name.startswith("TWIN_")]:
        del os.environ[name]
    # A watermark that is seldom renewed would be measured instead of the work.
    os.environ |= {"TWIN_MARKER_INTERVAL_S": "0.1", "TWIN_EMBEDDING_CACHE_MB": "0"}
    figures: Figures = {}
    rows: list[list[str]] = []
    with (
        tempfile.TemporaryDirectory(prefix="twin-bench-") as folder,
        running_servers(Path(folder), model=MODEL) as twin,
        at_work(twin) as stand,
    ):
        for size in arguments.sizes:
            figures |= one_size(stand, size)
            rows += _rows(figures, size)
        sample = [chunk.content for chunk in stand.chunks(articles(1, prefix="naive"))[:NAIVE_CHUNKS]]
        url = twin.settings.require_url("qdrant_url")
        naive = naive_seconds_per_chunk(url, sample, model=MODEL)
        best = figures[f"cold_{max(arguments.sizes)}_chunks_per_s"]
        figures |= {"naive_s_per_chunk": naive, "cold_to_naive": best * naive}
    table = Table(
        "documents",
        "phase",
        "chunks",
        "embedded",
        "seconds",
        "chunks/s",
        "of the encoder alone",
        "encoder busy",
    )
    for row in rows:
        table.add_row(*row)
    Console().print(table)
    print(f"the naive way: {naive:.2f} s a chunk; this one is {best * naive:.0f} times as fast")
    print(f"kept in {keep(figures)}")


def one_size(stand: Stand, size: int) -> Figures:
    """Take a number of articles through all phases; raises AssertionError where Qdrant then holds else."""
    raw = articles(size, prefix=f"work-{size}")
    chunks = stand.chunks(raw)
    some = raw[: max(1, size // 100)]
    alone = [stand.encode(chunks)]
    busy_s = stand.network.busy_s
    found = {"cold": stand.measured(lambda: stand.write(raw))}
    busy_s = stand.network.busy_s - busy_s
    alone.append(stand.encode(chunks))
    _same(stand.held(), len(chunks))
    again = [Change(type=ARTICLES, entry=f"str:{each['_id']}", revision=0) for each in raw]
    found["warm"] = stand.measured(lambda: stand.twin.publisher.publish(again))
    changed = [edited(document) for document in some]
    found["edit"] = stand.measured(lambda: stand.write(changed))
    _same(stand.held(), len(stand.chunks([*changed, *raw[len(some) :]])))
    ids = [each["_id"] for each in some]
    found["delete"] = stand.measured(lambda: stand.documents.delete_many({"_id": {"$in": ids}}))
    _same(stand.held(), len(stand.chunks(raw[len(some) :])))
    stand.measured(lambda: stand.documents.delete_many({}))
    _same(stand.held(), 0)
    seconds, encoder_s = found["cold"][0], statistics.mean(alone)
    figures = {
        f"encoder_{size}_chunks_per_s": len(chunks) / encoder_s,
        f"encoder_{size}_spread": max(alone) / min(alone),
        f"cold_{size}_chunks": len(chunks),
        f"cold_{size}_chunks_per_s": len(chunks) / seconds,
        f"cold_{size}_to_encoder": encoder_s / seconds,
        f"cold_{size}_encoder_busy": busy_s / seconds,
    }
    for name, (took_s, embedded) in found.items():
        figures |= {f"{name}_{size}_s": took_s, f"{name}_{size}_embedded": embedded}
    return figures


def _rows(figures: Figures, size: int) -> list[list[str]]:
    chunks, rate = figures[f"cold_{size}_chunks"], figures[f"encoder_{size}_chunks_per_s"]
    rows = [[str(size), "encoder", f"{chunks:.0f}", "", f"{chunks / rate:.2f}", f"{rate:.1f}", "1", ""]]
    for name in ("cold", "warm", "edit", "delete"):
        embedded, seconds = figures[f"{name}_{size}_embedded"], figures[f"{name}_{size}_s"]
        rows.append([str(size), name, "", f"{embedded:.0f}", f"{seconds:.2f}", "", "", ""])
    cold = f"cold_{size}"
    rows[1][5:] = [
        f"{figures[f'{cold}_chunks_per_s']:.1f}",
        f"{figures[f'{cold}_to_encoder']:.2f}",
        f"{figures[f'{cold}_encoder_busy']:.0%}",
    ]
    return rows


def edited(document: dict[str, Any]) -> dict[str, Any]:
    """Return a document with another paragraph in its middle."""
    text = document["content"]["text"]
    middle = text.find("\n\n", len(text) // 2)
    paragraph = "\n\nSomebody has put a paragraph into the middle of this text, and nothing else is new.\n\n"
    return document | {"content": {"text": text[:middle] + paragraph + text[middle:].lstrip()}}


@contextmanager
def at_work(twin: Twin) -> Iterator[Stand]:
    """Run capture and stream in threads of this process until the block ends."""
    seen: list[StreamProgress] = []
    with running_flows(
        twin.settings,
        lambda own, stop: run_capture(own, stop=stop, report=lambda _: None),
        lambda own, stop: run_stream(own, stop=stop, report=seen.append),
    ) as flows:
        stand = Stand(twin, flows, seen)
        stand.measured(lambda: None)
        yield stand


def _same(made: int, expected: int) -> None:
    if made != expected:
        raise AssertionError(f"{made} chunks in Qdrant instead of {expected}")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="benchmarks.work", description=__doc__)
    parser.add_argument("--sizes", type=int, nargs="+", default=[12, 48, 192], help="documents")
    return parser.parse_args()


if __name__ == "__main__":
    main()
