"""Old runs are deleted with their events: Dagster itself keeps them for ever.

What an asset's page shows stays: the run with the newest materialization, observation or result of a check of
each asset is kept, however old it is.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from dagster import (
    AssetCheckKey,
    AssetKey,
    DagsterInstance,
    DagsterRunStatus,
    OpExecutionContext,
    RunsFilter,
    in_process_executor,
    job,
    op,
)

from twin_assets.defs.checks import all_checks
from twin_assets.defs.resources import TwinResource

PRUNE_OP = "prune"
FINISHED = [DagsterRunStatus.SUCCESS, DagsterRunStatus.FAILURE, DagsterRunStatus.CANCELED]
# A run is some hundred events, and SQLite deletes them while others wait.
AT_MOST = 500
PAGE = 100


@dataclass(frozen=True)
class PruneReport:
    """How many runs went, how many older ones stay because an asset's page shows them."""

    deleted: int
    kept: int


@op(
    name=PRUNE_OP,
    description="Deletes finished runs that are older than TWIN_RUN_RETENTION_DAYS, with their events.",
)
def prune_op(context: OpExecutionContext, twin: TwinResource) -> None:
    days = twin.settings().run_retention_days
    if not days:
        context.log.info("TWIN_RUN_RETENTION_DAYS is 0: every run is kept")
        return
    report = prune(
        context.instance,
        before=datetime.now(UTC) - timedelta(days=days),
        check_keys=[key for each in all_checks for key in each.check_keys],
    )
    context.add_output_metadata({"deleted": report.deleted, "kept": report.kept})
    context.log.info(f"{report.deleted} runs deleted, {report.kept} older ones kept for what they show")


@job(
    executor_def=in_process_executor,
    description="Deletes old runs and their events. What the assets' pages show is kept.",
)
def prune_runs() -> None:
    prune_op()


def prune(
    instance: DagsterInstance,
    *,
    before: datetime,
    check_keys: Iterable[AssetCheckKey],
    at_most: int = AT_MOST,
) -> PruneReport:
    """Delete the oldest runs that ended before a moment, at most so many; the rest is for the next time."""
    shown = set(_shown(instance, check_keys))
    deleted = kept = 0
    for run_id in list(_ended(instance, before)):
        if run_id in shown:
            kept += 1
        elif deleted < at_most:
            instance.delete_run(run_id)
            deleted += 1
    return PruneReport(deleted, kept)


def _ended(instance: DagsterInstance, before: datetime) -> Iterator[str]:
    """Yield finished runs, the oldest first. What changed last in one is its end."""
    cursor: str | None = None
    old = RunsFilter(statuses=FINISHED, updated_before=before)
    while records := instance.get_run_records(old, limit=PAGE, cursor=cursor, ascending=True):
        for record in records:
            cursor = record.dagster_run.run_id
            yield cursor


def _shown(instance: DagsterInstance, check_keys: Iterable[AssetCheckKey]) -> Iterator[str]:
    """Yield the runs that hold what the pages of assets and checks show first."""
    for key in instance.all_asset_keys():
        yield from _newest_events(instance, key)
    latest = instance.event_log_storage.get_latest_asset_check_execution_by_key(list(check_keys))
    for record in latest.values():
        yield record.run_id


def _newest_events(instance: DagsterInstance, key: AssetKey) -> Iterator[str]:
    for fetch in (instance.fetch_materializations, instance.fetch_observations):
        for record in fetch(key, limit=1).records:
            yield record.run_id
