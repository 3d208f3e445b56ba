"""Heartbeats of runs that end by themselves: rebuilds and checks."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from dagster import DagsterInstance

from twin_assets.defs.heartbeat import Heartbeat
from twin_assets.settings import Settings


@contextmanager
def beating(instance: DagsterInstance, run_id: str, settings: Settings) -> Iterator[threading.Event]:
    """Beat in the background while a step works; yields an event that says that the run is to stop.

    Between two steps a run does not beat, and withdraws its last beat: it may have to wait for a pool.
    """
    heartbeat = Heartbeat(instance, run_id, limit_s=settings.heartbeat_limit_s)
    stop, done = threading.Event(), threading.Event()

    def beat() -> None:
        while not done.is_set():
            if heartbeat.beat() is not None:
                stop.set()
            done.wait(settings.heartbeat_interval_s)

    thread = threading.Thread(target=beat, name="heartbeat", daemon=True)
    thread.start()
    try:
        yield stop
    finally:
        done.set()
        thread.join()
        heartbeat.withdraw()
