"""Commands for generations: build a new one, look at them, switch between them."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from twin_assets.cli.console import progress_bar, say
from twin_assets.models.base import DataType, Snapshot

if TYPE_CHECKING:
    from twin_assets.operations.rebuild import RebuildProgress, RebuildReport
    from twin_assets.operations.twin import Twin


class Which(StrEnum):
    """Which snapshot to rebuild."""

    BOTH = "both"
    CLEANED = "cleaned"
    VECTOR = "vector"


def rebuild(
    data_type: Annotated[DataType, typer.Argument(metavar="TYPE", help="posts, articles or repositories")],
    snapshot: Annotated[Which, typer.Option(help="which snapshot")] = Which.BOTH,
) -> None:
    """Build a new generation from MongoDB, prove it, and switch readers to it."""
    from twin_assets.operations.twin import open_twin
    from twin_assets.settings import load_settings

    chosen = [Snapshot.CLEANED, Snapshot.VECTOR] if snapshot is Which.BOTH else [Snapshot(snapshot.value)]
    with open_twin(load_settings()) as twin:
        for each in chosen:
            say_rebuilt(_rebuild(twin, each, data_type))


def _rebuild(twin: Twin, snapshot: Snapshot, data_type: DataType) -> RebuildReport:
    from twin_assets.operations.rebuild import rebuild as run_rebuild

    with progress_bar() as bar:
        task = bar.add_task(f"{snapshot.value}_{data_type.value}", total=None, note="")

        def tell(progress: RebuildProgress) -> None:
            note = f"{progress.chunks_per_s:.0f} chunks/s"
            bar.update(task, total=progress.total, completed=progress.documents, note=note)

        return run_rebuild(twin, snapshot, data_type, progress=tell)


def say_rebuilt(report: RebuildReport) -> None:
    """Print what a rebuild did."""
    say(
        f"{report.generation.alias} is now {report.generation.collection}: {report.documents} documents, "
        f"{report.chunks} chunks, {report.counts.chunks_embedded} embedded, "
        f"{report.counts.from_cleaned} texts from the cleaned snapshot, "
        f"{report.quarantined} quarantined, {report.seconds:.1f} s"
    )
