"""Runs of the local stack's Dagster, asked of its storage: their events, their processes, their ends."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

import psutil
from dagster import DagsterEventType, DagsterInstance, EventLogEntry

from twin_assets.settings import Settings


@contextmanager
def dagster_instance(settings: Settings) -> Iterator[DagsterInstance]:
    with DagsterInstance.from_config(str(settings.state_dir / "dagster")) as opened:
        yield opened


def events_of(run_id: str, kind: DagsterEventType, settings: Settings) -> list[EventLogEntry]:
    with dagster_instance(settings) as instance:
        return list(instance.all_logs(run_id, of_type=kind))


def worker_of(run_id: str, settings: Settings) -> psutil.Process | None:
    """Return the process that a run works in, while it lives: it names itself in the run's events."""
    events = events_of(run_id, DagsterEventType.ENGINE_EVENT, settings)
    pids = [int(found[1]) for event in events if (found := re.search(r"\(pid: (\d+)\)", event.message))]
    return psutil.Process(pids[0]) if pids and psutil.pid_exists(pids[0]) else None


def mark_failed(run_id: str, settings: Settings) -> None:
    """Declare a run dead, whatever its process is at."""
    with dagster_instance(settings) as instance:
        run = instance.get_run_by_id(run_id)
        assert run is not None
        instance.report_run_failed(run, message="declared dead")
