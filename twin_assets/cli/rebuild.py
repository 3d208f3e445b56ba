"""`twin rebuild`: a new generation of a collection, proven before readers see it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from twin_assets.cli.console import progress_bar, say
from twin_assets.models.kinds import DataType, Snapshot

if TYPE_CHECKING:
    from twin_assets.operations.rebuild import RebuildReport
    from twin_assets.operations.scan import RebuildProgress


class Which(StrEnum):
    """Which snapshot to rebuild."""

    BOTH = "both"
    CLEANED = "cleaned"
    VECTOR = "vector"


def snapshots_of(which: Which) -> list[Snapshot]:
    """Return the snapshots that were chosen, the cleaned one first: vectors take their text from it."""
    return [Snapshot.CLEANED, Snapshot.VECTOR] if which is Which.BOTH else [Snapshot(which.value)]


def rebuild(
    data_type: Annotated[DataType, typer.Argument(metavar="TYPE", help="posts, articles or repositories")],
    *,
    snapshot: Annotated[Which, typer.Option(help="which snapshot")] = Which.BOTH,
    fresh: Annotated[bool, typer.Option("--fresh", help="do not take up a rebuild that was cut off")] = False,
    no_reuse: Annotated[bool, typer.Option("--no-reuse", help="embed all, whatever has a vector")] = False,
    where: Annotated[
        list[str] | None, typer.Option(metavar="FIELD=VALUE", help="only documents that say so")
    ] = None,
    ids: Annotated[list[str] | None, typer.Option("--id", help="only the documents with these ids")] = None,
) -> None:
    """Build a new generation from MongoDB, prove it, and switch readers to it; or renew some documents."""
    if where or ids:
        if snapshot is not Which.BOTH or fresh or no_reuse:
            raise typer.BadParameter("some documents are processed anew in all snapshots, and embedded anew")
        _rebuild_some(data_type, where or [], ids or [])
        return
    from twin_assets.operations.courtesy import give_way
    from twin_assets.operations.rebuild import rebuild as run_rebuild
    from twin_assets.operations.twin import open_twin
    from twin_assets.settings import load_settings

    settings = load_settings()
    give_way(settings.rebuild_priority)
    with open_twin(settings) as twin:
        for each in snapshots_of(snapshot):
            with _progress(f"{each.value}_{data_type.value}") as tell:
                report = run_rebuild(
                    twin, each, data_type, fresh=fresh, reuse_vectors=not no_reuse, progress=tell
                )
            say_rebuilt(report)


def _rebuild_some(data_type: DataType, where: list[str], ids: list[str]) -> None:
    from twin_assets.operations.partial import rebuild_some
    from twin_assets.operations.twin import open_twin
    from twin_assets.settings import load_settings

    wanted: dict[str, list[str]] = {"_id": ids} if ids else {}
    for condition in where:
        field, sign, value = condition.partition("=")
        if not sign:
            raise typer.BadParameter(f"{condition!r} is not of the form FIELD=VALUE", param_hint="--where")
        wanted.setdefault(field.strip(), []).append(value.strip())
    with open_twin(load_settings()) as twin:
        published = rebuild_some(twin, data_type, wanted)
    say(f"{published} documents are on their way through the queue; `twin status` shows when it is empty")


@contextmanager
def _progress(name: str) -> Iterator[Callable[[RebuildProgress], None]]:
    """Show a bar with the pace and the time to go."""
    with progress_bar() as bar:
        task = bar.add_task(name, total=None, note="")

        def tell(progress: RebuildProgress) -> None:
            left = "" if progress.remaining_s is None else f", {progress.remaining_s:.0f} s to go"
            note = f"{progress.chunks_per_s:.0f} chunks/s{left}"
            bar.update(task, total=progress.total, completed=progress.documents, note=note)

        yield tell


def say_rebuilt(report: RebuildReport) -> None:
    """Print what a rebuild did."""
    say(
        f"{report.generation.alias} is now {report.generation.collection}: {report.documents} documents, "
        f"{report.chunks} chunks, {report.counts.chunks_embedded} embedded, "
        f"{report.counts.chunks_reused} vectors reused, "
        f"{report.counts.from_cleaned} texts from the cleaned snapshot, "
        f"{report.quarantined} quarantined, {report.seconds:.1f} s"
    )
