"""Side by side with the ways people do this today: `python -m benchmarks.peers --sizes 5 20 80`.

The same articles, model and Qdrant for LlamaIndex's IngestionPipeline, LangChain's `index()` and twin_assets,
one after the other; the peers in an environment that the benchmark makes. **cold**: into an empty store,
also as a share of what the encoder alone takes for the same chunks. **warm**: all of it again. **edit**: a
paragraph more in 1 % of the articles, at least in one; the peers are told which. **delete**: as many go; the
peers, which do not see it, are given all that remain. **killed**: SIGKILL in the middle of cold, then all of
it again. What Qdrant then holds is compared with what it should.
"""

from __future__ import annotations

import argparse
import os
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.filled import running_servers
from benchmarks.peers.environment import peers_python
from benchmarks.peers.peer import PeerProcess
from benchmarks.report import WIDTH, Figures, keep
from benchmarks.texts import articles
from benchmarks.work import MODEL, at_work, edited, one_size
from benchmarks.world import wait_for
from twin_assets.operations.twin import Twin, open_twin
from twin_assets.processing.encoder_options import Backend
from twin_assets.processing.model_files import find_model

PEERS = ("llamaindex", "langchain")
PHASES = ("cold", "warm", "edit", "delete")

Document = dict[str, str]


def main() -> None:
    parser = argparse.ArgumentParser(prog="benchmarks.peers", description=__doc__)
    parser.add_argument("--sizes", type=int, nargs="+", default=[5, 20, 80], help="articles")
    sizes = parser.parse_args().sizes
    for name in [name for name in os.environ if name.startswith("TWIN_")]:
        del os.environ[name]
    os.environ |= {"TWIN_MARKER_INTERVAL_S": "0.1", "TWIN_EMBEDDING_CACHE_MB": "0"}
    python, figures = peers_python(), Figures()
    with (
        tempfile.TemporaryDirectory(prefix="twin-bench-") as folder,
        running_servers(Path(folder), model=MODEL) as twin,
    ):
        bench = Bench(twin, python, Path(folder))
        for name in PEERS:
            for size in sizes:
                figures |= bench.phases(name, size)
            figures |= bench.killed(name, sizes[len(sizes) // 2])
        for backend in (Backend.TORCH, Backend.AUTO):
            figures |= _ours(twin, backend, sizes)
    console = Console(width=WIDTH)
    console.print(_table(figures, sizes))
    console.print(_killed_table(figures))
    print(f"kept in {keep(figures)}")


class Bench:
    """Measures peers over one Qdrant, each time in a collection and a folder of its own."""

    def __init__(self, twin: Twin, python: str, folder: Path) -> None:
        self._twin = twin
        self._python = python
        self._folder = folder

    def phases(self, name: str, size: int) -> Figures:
        raw = articles(size, prefix=f"work-{size}")
        documents = [_plain(each) for each in raw]
        some = max(1, size // 100)
        with self._peer(name, str(size)) as peer:
            found = {"cold": peer.ask("ingest", documents)}
            alone = peer.ask("encode")
            found["warm"] = peer.ask("ingest", documents)
            changed = [_plain(edited(each)) for each in raw[:some]]
            found["edit"] = peer.ask("ingest", changed)
            after_edit = peer.ask("check", [*changed, *documents[some:]])
            found["delete"] = peer.ask("sync", documents[some:])
            after_delete = peer.ask("check", documents[some:])
        figures: Figures = {f"{name}_load_s": peer.load_s}
        for phase in PHASES:
            figures[f"{name}_{size}_{phase}_s"] = found[phase]["seconds"]
            figures[f"{name}_{size}_{phase}_embedded"] = found[phase]["embedded"]
        figures[f"{name}_{size}_chunks"] = alone["texts"]
        figures[f"{name}_{size}_cold_to_encoder"] = alone["seconds"] / found["cold"]["seconds"]
        figures[f"{name}_{size}_wrong"] = sum(map(_wrong, (after_edit, after_delete)))
        return figures

    def killed(self, name: str, size: int) -> Figures:
        documents = [_plain(each) for each in articles(size, prefix=f"killed-{size}")]
        half = size * 5  # articles have some twenty chunks
        with self._peer(name, "killed") as peer:
            peer.tell("ingest", documents)
            wait_for(
                lambda: self._count(name, "killed") >= half, f"{name} has stored {half} chunks", pause_s=0.01
            )
            peer.kill()
        with self._peer(name, "killed") as peer:
            again = peer.ask("ingest", documents)
            state = peer.ask("check", documents)
        return {
            f"{name}_killed_embedded_again": again["embedded"],
            **{f"{name}_killed_{what}": state[what] for what in ("chunks", "missing", "left_over", "twice")},
        }

    @contextmanager
    def _peer(self, name: str, purpose: str) -> Iterator[PeerProcess]:
        with PeerProcess(
            self._python,
            name,
            url=self._twin.store.url,
            collection=f"{name}_{purpose}",
            model=find_model(MODEL),
            folder=self._folder / f"{name}-{purpose}",
        ) as peer:
            yield peer

    def _count(self, name: str, purpose: str) -> int:
        client = self._twin.store.client
        collection = f"{name}_{purpose}"
        return client.count(collection).count if client.collection_exists(collection) else 0


def _ours(twin: Twin, backend: Backend, sizes: Sequence[int]) -> Figures:
    name, found = f"twin_{backend.value}", Figures()
    settings = twin.settings.model_copy(update={"encoder_backend": backend.value})
    with open_twin(settings) as own, at_work(own) as stand:
        for size in sizes:
            measured = one_size(stand, size)
            for phase in PHASES:
                found[f"{name}_{size}_{phase}_s"] = measured[f"{phase}_{size}_s"]
                found[f"{name}_{size}_{phase}_embedded"] = measured[f"{phase}_{size}_embedded"]
            found[f"{name}_{size}_chunks"] = measured[f"cold_{size}_chunks"]
            found[f"{name}_{size}_cold_to_encoder"] = measured[f"cold_{size}_to_encoder"]
            # Everything that it holds was compared on the way, and a difference would have been raised.
            found[f"{name}_{size}_wrong"] = 0
    return found


def _wrong(state: dict[str, Any]) -> int:
    return state["missing"] + state["left_over"] + state["twice"]


def _plain(document: dict[str, Any]) -> Document:
    return {"id": document["_id"], "text": document["content"]["text"]}


def _table(figures: Figures, sizes: Sequence[int]) -> Table:
    table = Table("articles", "who", "chunks", "cold s", "of its encoder")
    for phase in PHASES[1:]:
        table.add_column(f"{phase} s (embedded)")
    table.add_column("chunks wrong")
    for size in sizes:
        for name in (*PEERS, "twin_torch", "twin_auto"):
            of = f"{name}_{size}"
            table.add_row(
                str(size),
                name,
                f"{figures[f'{of}_chunks']:.0f}",
                f"{figures[f'{of}_cold_s']:.2f}",
                f"{figures[f'{of}_cold_to_encoder']:.2f}",
                *(
                    f"{figures[f'{of}_{phase}_s']:.2f} ({figures[f'{of}_{phase}_embedded']:.0f})"
                    for phase in PHASES[1:]
                ),
                f"{figures[f'{of}_wrong']:.0f}",
            )
    return table


def _killed_table(figures: Figures) -> Table:
    parts = ("embedded_again", "chunks", "missing", "left_over", "twice")
    table = Table("killed in the middle of cold, and run again", *(part.replace("_", " ") for part in parts))
    for name in PEERS:
        table.add_row(name, *(f"{figures[f'{name}_killed_{part}']:.0f}" for part in parts))
    return table


if __name__ == "__main__":
    main()
