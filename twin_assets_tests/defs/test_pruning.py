from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from dagster import (
    AssetCheckKey,
    AssetCheckResult,
    AssetKey,
    AssetObservation,
    DagsterInstance,
    DagsterRunStatus,
    asset,
    asset_check,
    job,
    materialize,
    op,
)

from twin_assets.definitions import defs
from twin_assets.defs.pruning import PruneReport, prune

CHECK = AssetCheckKey(AssetKey("thing"), "is_well")
IN_A_YEAR = datetime.now(UTC) + timedelta(days=365)


@asset
def thing() -> None:
    """A thing."""


@asset_check(asset=thing)
def is_well() -> AssetCheckResult:
    return AssetCheckResult(passed=True)


@op
def look(context) -> None:
    context.log_event(AssetObservation("thing"))


@job
def looking() -> None:
    look()


@op
def nothing() -> None:
    """Do nothing."""


@job
def idle() -> None:
    nothing()


def made(instance: DagsterInstance) -> str:
    return materialize([thing], instance=instance).run_id


def checked(instance: DagsterInstance) -> str:
    return materialize([thing, is_well], instance=instance).run_id


def looked(instance: DagsterInstance) -> str:
    return looking.execute_in_process(instance=instance).run_id


def idled(instance: DagsterInstance) -> str:
    return idle.execute_in_process(instance=instance).run_id


def left(instance: DagsterInstance) -> set[str]:
    return {run.run_id for run in instance.get_runs()}


def test_what_an_asset_shows_is_kept_and_everything_else_goes(instance: DagsterInstance) -> None:
    gone = [idled(instance), checked(instance), made(instance), looked(instance)]
    shown = [checked(instance), made(instance), looked(instance)]
    report = prune(instance, before=IN_A_YEAR, check_keys=[CHECK])
    assert report == PruneReport(deleted=len(gone), kept=len(shown))
    assert left(instance) == set(shown)
    assert not any(instance.all_logs(run_id) for run_id in gone)
    materialized = instance.get_latest_materialization_event(AssetKey("thing"))
    assert materialized is not None
    assert materialized.run_id == shown[1]
    [verdict] = instance.event_log_storage.get_latest_asset_check_execution_by_key([CHECK]).values()
    assert verdict.run_id == shown[0]
    assert prune(instance, before=IN_A_YEAR, check_keys=[CHECK]) == PruneReport(0, len(shown))


def test_what_is_young_or_at_work_is_not_touched(instance: DagsterInstance) -> None:
    old, running = idled(instance), idled(instance)
    instance.run_storage.add_run_tags(running, {"twin/share": "capture"})
    instance.create_run_for_job(
        idle, run_id="00000000-0000-0000-0000-000000000001", status=DagsterRunStatus.STARTED
    )
    yesterday = datetime.now(UTC) - timedelta(days=1)
    assert prune(instance, before=yesterday, check_keys=[]) == PruneReport(0, 0)
    assert prune(instance, before=IN_A_YEAR, check_keys=[]).deleted == 2
    assert left(instance) == {"00000000-0000-0000-0000-000000000001"}
    assert old not in left(instance)


def test_the_oldest_go_first_and_the_rest_the_next_time(instance: DagsterInstance) -> None:
    runs = [idled(instance) for _ in range(5)]
    assert prune(instance, before=IN_A_YEAR, check_keys=[], at_most=3).deleted == 3
    assert left(instance) == set(runs[3:])
    assert prune(instance, before=IN_A_YEAR, check_keys=[], at_most=3).deleted == 2
    assert left(instance) == set()


@pytest.mark.parametrize(("days", "deleted"), [("30", False), ("0", False), ("0.0000001", True)])
def test_the_job_keeps_runs_for_the_days_that_are_set(
    instance: DagsterInstance, monkeypatch: pytest.MonkeyPatch, days: str, deleted: bool
) -> None:
    monkeypatch.setenv("TWIN_RUN_RETENTION_DAYS", days)
    old = idled(instance)
    done = defs.get_job_def("prune_runs").execute_in_process(instance=instance)
    assert done.success
    assert (old not in left(instance)) is deleted
    assert done.run_id in left(instance), "a run does not delete itself"
