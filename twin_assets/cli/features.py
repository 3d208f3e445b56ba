"""Commands for the snapshots: are they in step, rebuild them, search them."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from twin_assets.cli.console import errors, progress_bar, say, say_json, say_table
from twin_assets.cli.exit_codes import ExitCode
from twin_assets.models.base import DataType, Snapshot

if TYPE_CHECKING:
    from twin_assets.operations.checks import CheckResult
    from twin_assets.operations.rebuild import RebuildProgress, RebuildReport
    from twin_assets.operations.twin import Twin

Json = Annotated[bool, typer.Option("--json", help="one JSON document on stdout")]
PREVIEW = 160
SEARCH_FIELDS = {"id", "type", "score", "content", "link", "author_id"}


class Which(StrEnum):
    """Which snapshot to rebuild."""

    BOTH = "both"
    CLEANED = "cleaned"
    VECTOR = "vector"


def status(as_json: Json = False) -> None:
    """Show servers, long runs, collections, lag, queue and dead letters."""
    from functools import partial

    from twin_assets.cli.long_runs import read_long_runs
    from twin_assets.operations.status import read_status
    from twin_assets.settings import load_settings

    settings = load_settings()
    found = read_status(settings, partial(read_long_runs, settings))
    if as_json:
        say_json(found)
    else:
        say_status(found)
    if not all(server["up"] for server in found["servers"].values()):
        raise typer.Exit(ExitCode.SERVER_UNREACHABLE)


def say_status(found: dict[str, Any]) -> None:
    """Print a status as tables."""
    servers = [[name, server["url"], server["up"]] for name, server in found["servers"].items()]
    say_table(["server", "url", "up"], servers)
    runs = [
        [job, run["state"], run["heartbeat_age_s"], run["run_id"] and run["run_id"][:8]]
        for job, run in found["runs"].items()
    ]
    say_table(["long run", "state", "last heartbeat (s)", "run"], runs)
    columns = ["source", "cleaned", "vector_documents", "chunks"]
    rows = [
        [data_type, *(counts[column] for column in columns)]
        for data_type, counts in found["collections"].items()
    ]
    say_table(["", "in MongoDB", "cleaned", "with vectors", "chunks"], rows)
    summary = [[found["lag_s"], found["queued"], found["dead_letters"]]]
    say_table(["lag (s)", "queued", "dead letters"], summary)


def check(
    as_json: Json = False,
    repair: Annotated[bool, typer.Option("--repair", help="have what differs processed again")] = False,
) -> None:
    """Compare every collection with MongoDB; exit code 1 when a check fails."""
    from twin_assets.operations.twin import open_twin
    from twin_assets.settings import load_settings

    with open_twin(load_settings()) as twin:
        results = evaluate(twin)
        if as_json:
            say_json([vars_of(result) for result in results])
        else:
            say_checks(results)
        if repair:
            errors.print(f"repair: {_repair(twin)} documents are on their way; check again in a moment")
    if not all(result.passed for result in results):
        raise typer.Exit(ExitCode.CHECK_FAILED)


def _repair(twin: Twin) -> int:
    from twin_assets.models.generation import GenerationStatus
    from twin_assets.operations.audit import audit
    from twin_assets.operations.repair import repair

    live = [found for found in twin.meta.generations() if found.status is GenerationStatus.LIVE]
    return repair(twin, *(audit(twin, generation, with_vectors=True) for generation in live))


def evaluate(twin: Twin) -> list[CheckResult]:
    """Evaluate every check on every live collection."""
    from twin_assets.operations.checks import evaluate_checks

    with progress_bar() as bar:
        task = bar.add_task("checking", total=len(Snapshot) * len(DataType), note="")
        results = []
        for data_type in DataType:
            for snapshot in Snapshot:
                bar.update(task, note=f"{snapshot.value}_{data_type.value}")
                results += evaluate_checks(twin, [(snapshot, data_type)])
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


def search(
    text: Annotated[str, typer.Argument(help="what to look for")],
    types: Annotated[list[DataType] | None, typer.Option("--type", help="only these data types")] = None,
    limit: Annotated[int, typer.Option(help="how many chunks", min=1, max=1000)] = 5,
    as_json: Json = False,
) -> None:
    """Find the chunks nearest in meaning to a text."""
    from twin_assets.operations.features import FeatureStore

    with FeatureStore() as features:
        hits = features.search(text, types=types or None, limit=limit)
    if as_json:
        say_json([hit.model_dump(mode="json", include=SEARCH_FIELDS) for hit in hits])
        return
    for hit in hits:
        say(f"{hit.score:.3f} {hit.type.value} {hit.id} {hit.link or ''}")
        say(f"      {' '.join(hit.content.split())[:PREVIEW]}")
