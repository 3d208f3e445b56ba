"""`twin check`: compare every collection with MongoDB, for people and for CI."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from twin_assets.cli.console import Json, progress_bar, say, say_json, say_table
from twin_assets.cli.exit_codes import ExitCode
from twin_assets.models.kinds import DataType, Snapshot

if TYPE_CHECKING:
    from twin_assets.operations.checks import CheckResult
    from twin_assets.operations.twin import Twin


def check(
    as_json: Json = False,
    junit: Annotated[
        Path | None, typer.Option("--junit", metavar="FILE", help="write JUnit XML for CI as well")
    ] = None,
    since_last: Annotated[
        bool,
        typer.Option("--since-last", help="only what changed since the last time, and a slice of the rest"),
    ] = False,
) -> None:
    """Compare every collection with MongoDB, in full; exit code 1 when a check fails."""
    from twin_assets.cli.junit import write_junit
    from twin_assets.operations.twin import open_twin
    from twin_assets.settings import load_settings

    started = time.monotonic()
    with open_twin(load_settings()) as twin:
        results = evaluate(twin, since_last=since_last)
    if junit is not None:
        write_junit(junit, results, seconds=time.monotonic() - started)
    if as_json:
        say_json([vars_of(result) for result in results])
    else:
        say_checks(results)
    if not all(result.passed for result in results):
        raise typer.Exit(ExitCode.CHECK_FAILED)


def evaluate(twin: Twin, *, since_last: bool = False) -> list[CheckResult]:
    """Evaluate every check on every live collection."""
    from twin_assets.operations.checks import evaluate_checks

    with progress_bar() as bar:
        task = bar.add_task("checking", total=len(Snapshot) * len(DataType), note="")
        results = []
        for data_type in DataType:
            for snapshot in Snapshot:
                bar.update(task, note=f"{snapshot.value}_{data_type.value}")
                results += evaluate_checks(twin, [(snapshot, data_type)], since_last=since_last)
                bar.advance(task)
    return results


def say_checks(results: list[CheckResult]) -> None:
    """Print a row per collection and a line per failed check."""
    by_asset: dict[str, list[CheckResult]] = {}
    for result in results:
        by_asset.setdefault(result.asset, []).append(result)
    rows = [
        [asset, f"{sum(result.passed for result in found)} of {len(found)}"]
        for asset, found in by_asset.items()
    ]
    say_table(["asset", "checks passed"], rows)
    for result in results:
        if not result.passed:
            say(f"FAILED {result.asset} {result.check}: {result.metadata}")


def vars_of(result: CheckResult) -> dict[str, Any]:
    """Return a check's result as `check --json` documents it."""
    return {
        "asset": result.asset,
        "check": result.check,
        "passed": result.passed,
        "metadata": result.metadata,
    }
