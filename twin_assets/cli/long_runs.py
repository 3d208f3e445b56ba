"""What Dagster knows of the long runs, asked over HTTP: importing it would take longer than the answer."""

from __future__ import annotations

import time
from typing import Any

from twin_assets.errors import StackError
from twin_assets.settings import Settings, without_credentials
from twin_assets.stack.dagster_api import DagsterApi
from twin_assets.stack.ports import LOOPBACK

LONG_RUNS = ("capture_changes", "stream_features")
HEARTBEAT_TAG = "twin/heartbeat"
POLL_S = 0.25
ACTIVE = ("QUEUED", "NOT_STARTED", "STARTING", "STARTED", "CANCELING")


def dagster_url(settings: Settings) -> str:
    """Return where the Dagster UI is, without the login of a proxy before it."""
    return without_credentials(_full_url(settings))


def dagster_api(settings: Settings) -> DagsterApi:
    """Return the way to ask Dagster."""
    return DagsterApi(_full_url(settings))


def run_job(api: DagsterApi, job: str, *, limit_s: float) -> str:
    """Launch a job, wait for its end and return its status. Raises StackError at the limit."""
    run_id = api.launch(job)
    end = time.monotonic() + limit_s
    while (status := api.run_status(run_id)) in ACTIVE:
        if time.monotonic() > end:
            raise StackError(f"{job} did not end within {limit_s:.0f} s; see run {run_id} in the UI")
        time.sleep(POLL_S)
    return status


def read_long_runs(settings: Settings) -> dict[str, dict[str, Any]]:
    """Return state, run_id and heartbeat_age_s of each long run; state is `unknown` without Dagster."""
    api = dagster_api(settings)
    try:
        return {job: _latest(api, job) for job in LONG_RUNS}
    except StackError:
        return {job: _state("unknown") for job in LONG_RUNS}


def _full_url(settings: Settings) -> str:
    if settings.dagster_url is not None:
        return settings.dagster_url.get_secret_value()
    return f"http://{LOOPBACK}:{settings.local_dagster_port}"


def _latest(api: DagsterApi, job: str) -> dict[str, Any]:
    runs = api.latest_runs(job)
    chosen = next((run for run in runs if run["status"] in ACTIVE), runs[0] if runs else None)
    if chosen is None:
        return _state("never started")
    beat = chosen["tags"].get(HEARTBEAT_TAG)
    age = round(time.time() - float(beat), 1) if beat and chosen["status"] in ACTIVE else None
    return _state(chosen["status"].lower(), run_id=chosen["runId"], heartbeat_age_s=age)


def _state(state: str, *, run_id: str | None = None, heartbeat_age_s: float | None = None) -> dict[str, Any]:
    return {"state": state, "run_id": run_id, "heartbeat_age_s": heartbeat_age_s}
