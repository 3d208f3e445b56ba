"""What something costs as a collection grows: the same servers, measured at one size after the other."""

from __future__ import annotations

import argparse
import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from benchmarks.filled import Watch, running_servers, write
from benchmarks.report import WIDTH, Figures, keep
from twin_assets.operations.twin import Twin


@dataclass(frozen=True)
class Row:
    """One measurement: of how many documents, and what was done."""

    documents: int
    what: tuple[str, ...]
    watch: Watch

    @property
    def milliseconds_each(self) -> float:
        return self.watch.seconds / self.documents * 1000

    def __str__(self) -> str:
        return f"{self.documents} {' '.join(self.what)}: {self.watch.seconds:.1f} s"

    def figures(self) -> Figures:
        """Return its figures under names without spaces."""
        words = "_".join((str(self.documents), *self.what)).replace(",", "").replace(" ", "_")
        return {
            f"{words}_s": self.watch.seconds,
            f"{words}_processor_s": self.watch.processor_s,
            f"{words}_mb": self.watch.growth_mb,
        }


def measure_growth(
    name: str, about: str | None, columns: Sequence[str], measure: Callable[[Twin, int], Iterator[Row]]
) -> None:
    """Fill up to each size that the command line names, and measure there; print a table and keep it.

    `columns` are the headings of what the rows say was done.
    """
    parser = argparse.ArgumentParser(prog=f"python -m {name}", description=about)
    parser.add_argument("--sizes", type=int, nargs="+", default=[1_000, 10_000, 100_000])
    sizes = sorted(parser.parse_args().sizes)
    for variable in [variable for variable in os.environ if variable.startswith("TWIN_")]:
        del os.environ[variable]
    rows: list[Row] = []
    with tempfile.TemporaryDirectory(prefix="twin-bench-") as folder, running_servers(Path(folder)) as twin:
        written = 0
        for size in sizes:
            write(twin, range(written, size))
            written = size
            for row in measure(twin, size):
                print(row, flush=True)
                rows.append(row)
    _show(columns, rows)
    figures: Figures = {}
    for row in rows:
        figures |= row.figures()
    print(f"kept in {keep(figures)}")


def _show(columns: Sequence[str], rows: Sequence[Row]) -> None:
    table = Table("documents", *columns, "s", "processor s", "ms each", "grew by MB")
    for row in rows:
        watch = row.watch
        figures = [f"{watch.seconds:.1f}", f"{watch.processor_s:.1f}"]
        figures += [f"{row.milliseconds_each:.2f}", f"{watch.growth_mb:.0f}"]
        table.add_row(f"{row.documents:,}", *row.what, *figures)
    Console(width=WIDTH).print(table)
