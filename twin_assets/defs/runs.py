"""What Dagster's storage knows of the long runs, and how they are given up or asked to end."""

from __future__ import annotations

from collections.abc import Sequence

from dagster import DagsterEventType, DagsterInstance, DagsterRunStatus, RunRecord, RunsFilter

from twin_assets.defs.names import END_TAG, HEARTBEAT_TAG, PROGRESS_TAG, REPLICAS_TAG, SHARE_TAG
from twin_assets.defs.upkeep import ACTIVE, AT_WORK, Finding, RunView
from twin_assets.errors import TwinError

RECENT_PER_SHARE = 12
ERROR_MAX_LENGTH = 300
OURS = f"{TwinError.__module__}."


def read_runs(instance: DagsterInstance, job_name: str, *, shares: int) -> list[RunView]:
    """Return a job's active runs and its latest finished ones, some per share."""
    active = RunsFilter(job_name=job_name, statuses=list(ACTIVE))
    over = RunsFilter(
        job_name=job_name, statuses=[status for status in DagsterRunStatus if status not in ACTIVE]
    )
    records: Sequence[RunRecord] = [
        *instance.get_run_records(active),
        *instance.get_run_records(over, limit=RECENT_PER_SHARE * shares),
    ]
    return [_view(record) for record in records]


def read_beating_runs(instance: DagsterInstance) -> list[RunView]:
    """Return the runs of any job that are at work and have begun to beat."""
    records = instance.get_run_records(RunsFilter(statuses=list(AT_WORK)))
    return [view for view in map(_view, records) if view.beat_s is not None]


def _view(record: RunRecord) -> RunView:
    run = record.dagster_run
    beat = run.tags.get(HEARTBEAT_TAG)
    return RunView(
        run_id=run.run_id,
        share=run.tags.get(SHARE_TAG, "?"),
        status=run.status,
        changed_s=record.update_timestamp.timestamp(),
        started_s=record.start_time,
        ended_s=record.end_time,
        beat_s=float(beat) if beat else None,
        replicas=run.tags.get(REPLICAS_TAG),
        progress=run.tags.get(PROGRESS_TAG, ""),
    )


def give_up(instance: DagsterInstance, finding: Finding) -> None:
    """Mark a run whose process is gone as over, so that another may take its place."""
    run = instance.get_run_by_id(finding.run.run_id)
    if run is None or run.is_finished:
        return
    if run.status is DagsterRunStatus.CANCELING:
        instance.report_run_canceled(run, message=finding.reason)
    else:
        instance.report_run_failed(run, message=finding.reason)
    instance.event_log_storage.free_concurrency_slots_for_run(run.run_id)


def ask_to_end(instance: DagsterInstance, finding: Finding) -> None:
    """Leave word for a run that it is not needed any more; it reads that at its next beat."""
    instance.add_run_tags(finding.run.run_id, {END_TAG: finding.reason})


def last_error(instance: DagsterInstance, run_id: str) -> str:
    """Return the first line of what ended a run."""
    for kind in (DagsterEventType.STEP_FAILURE, DagsterEventType.RUN_FAILURE):
        records = instance.get_records_for_run(run_id, of_type=kind, limit=1, ascending=False).records
        for record in records:
            event = record.event_log_entry.dagster_event
            if event is not None:
                return _first_line(_cause(event.event_specific_data) or event.message or "")
    return "unknown"


def _cause(data: object) -> str:
    failure = getattr(data, "user_failure_data", None)
    if failure is not None and failure.description:
        return str(failure.description)
    error = getattr(data, "error", None)
    # What is ours says what to do; what led to it is a driver's.
    while error is not None and error.cause is not None and not error.message.startswith(OURS):
        error = error.cause
    return error.message if error is not None else ""


def _first_line(text: str) -> str:
    line = text.strip().partition("\n")[0]
    return line if len(line) <= ERROR_MAX_LENGTH else f"{line[:ERROR_MAX_LENGTH]}…"
