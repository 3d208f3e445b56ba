"""What a rebuild and a rollback cost as a collection grows: `python -m benchmarks.rebuilds`.

Short posts of two chunks are written straight into MongoDB and Qdrant, as the stream would have; embedding
is by hashes, so that what is left is everything but a model. All figures are of one run; prints a table and
keeps it.
"""

from __future__ import annotations

import argparse
import os
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from benchmarks.filled import POSTS, Watch, running_servers, watched, write
from benchmarks.report import Figures, keep, row_figures
from twin_assets.models.kinds import Snapshot
from twin_assets.operations.generations import roll_back
from twin_assets.operations.rebuild import rebuild
from twin_assets.operations.twin import Twin


@dataclass(frozen=True)
class Row:
    """One rebuild or rollback: what was done, what it took, how far the memory of this process grew."""

    documents: int
    what: str
    seconds: float
    processor_s: float
    growth_mb: float

    @property
    def milliseconds_each(self) -> float:
        return self.seconds / self.documents * 1000


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.rebuilds", description=__doc__)
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
                print(f"{row.documents} {row.what}: {row.seconds:.1f} s", flush=True)
                rows.append(row)
    show(rows)
    figures: Figures = {}
    for row in rows:
        figures |= row_figures(f"{row.documents}_{row.what}", row)
    print(f"kept in {keep(figures)}")


def measure(twin: Twin, size: int) -> Iterator[Row]:
    """Rebuild the cleaned snapshot, then the vectors with and without reuse, and go back at once."""
    with watched() as watch:
        report = rebuild(twin, Snapshot.CLEANED, POSTS)
    _require(report.documents, size)
    yield _row(size, "cleaned", watch)
    with watched() as watch:
        report = rebuild(twin, Snapshot.VECTOR, POSTS)
    _require(report.documents, size)
    _require(report.counts.chunks_reused, report.chunks)
    yield _row(size, "vectors, all reused", watch)
    with watched() as watch:
        report = rebuild(twin, Snapshot.VECTOR, POSTS, reuse_vectors=False)
    _require(report.counts.chunks_embedded, report.chunks)
    yield _row(size, "vectors, all embedded", watch)
    with watched() as watch:
        roll_back(twin, Snapshot.VECTOR, POSTS)
    yield _row(size, "rollback of the vectors", watch)


def show(rows: list[Row]) -> None:
    table = Table("documents", "what", "s", "processor s", "ms each", "grew by MB")
    for row in rows:
        figures = [f"{row.seconds:.1f}", f"{row.processor_s:.1f}"]
        figures += [f"{row.milliseconds_each:.2f}", f"{row.growth_mb:.0f}"]
        table.add_row(f"{row.documents:,}", row.what, *figures)
    Console().print(table)


def _row(size: int, what: str, watch: Watch) -> Row:
    return Row(size, what, watch.seconds, watch.processor_s, watch.growth_mb)


def _require(made: int, expected: int) -> None:
    if made != expected:
        raise AssertionError(f"{made} instead of {expected}")


if __name__ == "__main__":
    main()
