"""`twin repair`: have just that processed again which differs from MongoDB."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from twin_assets.cli.console import Json, progress_bar, say, say_json, say_table
from twin_assets.cli.exit_codes import ExitCode
from twin_assets.models.kinds import DataType

if TYPE_CHECKING:
    from twin_assets.operations.repair import RepairReport

COLUMNS = ["collection", "difference", "count", "first"]
FIRST = 5


def repair(
    data_type: Annotated[
        DataType | None, typer.Argument(metavar="[TYPE]", help="posts, articles or repositories; else all")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="say what would be done, do nothing")] = False,
    wait_s: Annotated[float, typer.Option(help="how long to wait for the stream", min=0)] = 60.0,
    as_json: Json = False,
) -> None:
    """Compare, and have what differs processed anew; exit code 1 when something differs still."""
    from twin_assets.operations import repair as operation
    from twin_assets.operations.twin import open_twin
    from twin_assets.settings import load_settings

    types = None if data_type is None else [data_type]
    with open_twin(load_settings()) as twin, progress_bar() as bar:
        task = bar.add_task("comparing", total=None, note="")
        reports = operation.audit_live(twin, types, audited=lambda name: bar.update(task, note=name))
        result = operation.repair(twin, *reports, is_dry_run=dry_run)
        if result.changes and not dry_run:
            bar.update(task, description="waiting for the stream", note="")
            operation.await_mended(twin, result, wait_s=wait_s)
    if as_json:
        say_json(json_of(result))
    else:
        say_repair(result)
    if not result.is_mended:
        raise typer.Exit(ExitCode.CHECK_FAILED)


def say_repair(result: RepairReport) -> None:
    """Print what was found, what was done and what is left."""
    rows = [
        [report.generation.alias, kind.value, len(entries), ", ".join(entries[:FIRST])]
        for report in result.audits
        for kind, entries in sorted(report.differences.items())
    ]
    if rows:
        say_table(COLUMNS, rows)
    done = "would be" if result.is_dry_run else "were"
    say(
        f"{result.documents} documents {done} processed anew ({_by_type(result)}), "
        f"{result.foreign} foreign points {done} removed"
    )
    for alias in result.unconfirmed:
        say(f"{alias}: left alone, since capture or stream is behind; see `twin status`, then repeat this")
    for alias, entries in (result.remaining or {}).items():
        say(f"STILL DIFFERENT {alias}: {len(entries)}: {', '.join(entries[:FIRST])}")


def json_of(result: RepairReport) -> dict[str, Any]:
    """Return a repair as `twin repair --json` documents it."""
    return {
        "dry_run": result.is_dry_run,
        "found": {
            report.generation.alias: {kind.value: entries for kind, entries in report.differences.items()}
            for report in result.audits
        },
        "processed": {data_type.value: entries for data_type, entries in result.changes.items()},
        "foreign_points": result.foreign,
        "unconfirmed": result.unconfirmed,
        "remaining": result.remaining,
    }


def _by_type(result: RepairReport) -> str:
    counted = (f"{data_type.value}: {len(entries)}" for data_type, entries in result.changes.items())
    return ", ".join(counted) or "nothing differs"
