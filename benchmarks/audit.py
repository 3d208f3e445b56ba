"""What an audit costs as a collection grows: `python -m benchmarks.audit --sizes 1000 10000 100000`.

Short posts of two chunks are written straight into MongoDB and Qdrant, as the stream would have; embedding
is no part of it. In full without texts and vectors, in full with them, and what the hourly audit does: 100
changes and its slice. All figures are of one run; prints a table and keeps it.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from rich.console import Console
from rich.table import Table

from benchmarks.filled import POSTS, live_posts, running_servers, watched, write
from benchmarks.report import Figures, keep, row_figures
from twin_assets.models.audit_state import AuditState
from twin_assets.models.generation import Generation
from twin_assets.models.kinds import Snapshot
from twin_assets.operations.audit import EVERYTHING, AuditReport, audit
from twin_assets.operations.since_last import audit_since_last
from twin_assets.operations.twin import Twin

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
    figures: Figures = {}
    for row in rows:
        figures |= row_figures(f"{row.documents}_{row.collection}_{row.kind}", row)
    print(f"kept in {keep(figures)}")


def measure(twin: Twin, size: int) -> Iterator[Row]:
    for snapshot in (Snapshot.CLEANED, Snapshot.VECTOR):
        generation = live_posts(twin, snapshot)
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


def show(rows: list[Row]) -> None:
    table = Table("documents", "collection", "compared", "s", "processor s", "ms each", "grew by MB")
    for row in rows:
        figures = [f"{row.seconds:.1f}", f"{row.processor_s:.1f}"]
        figures += [f"{row.milliseconds_each:.2f}", f"{row.growth_mb:.0f}"]
        table.add_row(f"{row.documents:,}", row.collection, row.kind, *figures)
    Console().print(table)


def _require_clean(report: AuditReport, size: int) -> None:
    if report.differences or report.source != size:
        raise AssertionError(f"{report.source} documents, {report.differences}")


if __name__ == "__main__":
    main()
