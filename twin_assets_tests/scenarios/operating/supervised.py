"""An installation with Dagster around it, and its operator: sensors, runs, and the command `twin`."""

from __future__ import annotations

import re
import subprocess
import sys
import time
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from typing import Any
from urllib.parse import quote

from dagster import DagsterRun, DagsterRunStatus, RunsFilter
from dagster._core.scheduler.instigation import InstigatorTick, TickStatus
from pymongo import MongoClient

from twin_assets.cli.long_runs import dagster_api
from twin_assets.defs.names import HEARTBEAT_TAG, PROGRESS_TAG
from twin_assets.defs.runs import last_error
from twin_assets.settings import Settings
from twin_assets.stack.dagster import DagsterServer
from twin_assets.stack.dagster_api import Selector
from twin_assets_tests.scenarios.house import House
from twin_assets_tests.scenarios.own_servers import served
from twin_assets_tests.scenarios.processes import environment_of
from twin_assets_tests.scenarios.runs import dagster_instance
from twin_assets_tests.waiting import wait_until

CAPTURE, STREAM = "capture_changes", "stream_features"
PASSWORD = "tw1n/word"
RUN_S = 400.0
COMMAND_S = 280.0
POLL_S = 0.5
CALM_LOOKS = 5
BEAT_S = 1.0
HASTE: dict[str, Any] = {
    "heartbeat_interval_s": BEAT_S,
    # Nobody is killed here, and a busy machine is no reason to give a run up.
    "heartbeat_limit_s": 120,
    "observation_interval_s": 1,
    # Text that comes back would take its vector from there, and nobody could count it.
    "embedding_cache_mb": 0,
}


class HouseDagster(DagsterServer):
    """Dagster on servers that are elsewhere."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings.state_dir, port=settings.local_dagster_port)
        self._settings = settings

    def environment(self) -> dict[str, str]:
        return super().environment() | environment_of(self._settings)


class Operator:
    """Who sits before Dagster's UI and a shell."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._api = dagster_api(settings)
        self._off: dict[str, Selector] = {}

    def switch_off(self, *names: str) -> None:
        """Switch sensors off, all of them where none is named, and see that they stay so.

        Dagster writes a sensor's state back at the end of a tick: a switch that falls into that is lost.
        """
        calm_looks = 0

        def are_off() -> bool:
            nonlocal calm_looks
            on = [found for found in self._api.running_sensors().items() if _is_meant(found[1], names)]
            for state_id, sensor in on:
                self._api.stop_sensor(state_id)
                self._off[sensor["sensorName"]] = sensor
            calm_looks = 0 if on or self._is_ticking(self._off) else calm_looks + 1
            return calm_looks == CALM_LOOKS

        wait_until(are_off, what=f"{names or 'all sensors'} stay off", limit_s=RUN_S, poll_s=POLL_S)

    def switch_on(self) -> None:
        """Switch those on again that were switched off."""
        while self._off:
            self._api.reset_sensor(self._off.popitem()[1])

    def terminate(self, *jobs: str) -> None:
        """Terminate the runs of these jobs, and wait for their ends."""

        def are_over() -> bool:
            runs = [run for job in jobs for run in self.runs(job) if not run.is_finished]
            # A run that is only starting refuses to end: it is asked again.
            if unasked := [run.run_id for run in runs if run.status is not DagsterRunStatus.CANCELING]:
                self._api.terminate(unasked)
            return not runs

        wait_until(are_over, what=f"{jobs} are over", limit_s=RUN_S, poll_s=POLL_S)

    def twin(self, *command: str) -> subprocess.CompletedProcess[str]:
        """Give a command."""
        return subprocess.run(
            [sys.executable, "-m", "twin_assets", *command],
            env=environment_of(self._settings),
            capture_output=True,
            text=True,
            timeout=COMMAND_S,
            check=False,
        )

    def runs(self, job: str) -> list[DagsterRun]:
        """Return all runs of a job, newest first."""
        with dagster_instance(self._settings) as instance:
            return list(instance.get_runs(RunsFilter(job_name=job)))

    def is_at_work(self, job: str) -> bool:
        return any(not run.is_finished for run in self.runs(job))

    def errors(self, job: str) -> list[str]:
        """Return what ended the runs of a job that failed, newest first, as its sensor says it."""
        failed = [run.run_id for run in self.runs(job) if run.status is DagsterRunStatus.FAILURE]
        with dagster_instance(self._settings) as instance:
            return [last_error(instance, run_id) for run_id in failed]

    def await_at_work(self, *jobs: str) -> None:
        """Wait until a run of each of these jobs beats."""
        asked_s = time.time()

        def beats(job: str) -> bool:
            return any(not run.is_finished and _beat_s(run) > asked_s for run in self.runs(job))

        for job in jobs:
            wait_until(lambda job=job: beats(job), what=f"{job} is at work", limit_s=RUN_S, poll_s=POLL_S)

    def await_tick(self, sensor: str) -> None:
        """Wait until a sensor that is on has ticked; those that tick more often had the time for it, too."""
        asked_s = time.time()

        def has_ticked() -> bool:
            return any(tick.timestamp > asked_s for tick in self._latest_ticks([sensor]))

        wait_until(has_ticked, what=f"{sensor} ticks", limit_s=RUN_S, poll_s=POLL_S)

    def chunks_embedded(self) -> int:
        """Return how many chunks all runs of the stream have embedded; those at work tell it with a beat."""
        asked_s = time.time()

        def have_told() -> bool:
            return all(run.is_finished or _beat_s(run) > asked_s + BEAT_S for run in self.runs(STREAM))

        wait_until(have_told, what="the stream has told what it did", limit_s=RUN_S, poll_s=POLL_S)
        said = [run.tags.get(PROGRESS_TAG, "") for run in self.runs(STREAM)]
        return sum(int(number) for each in said for number in re.findall(r"(\d+) chunks embedded", each))

    def _is_ticking(self, sensors: Collection[str]) -> bool:
        return any(tick.status is TickStatus.STARTED for tick in self._latest_ticks(sensors))

    def _latest_ticks(self, sensors: Collection[str]) -> list[InstigatorTick]:
        with dagster_instance(self._settings) as instance:
            states = [each for each in instance.all_instigator_state() if each.instigator_name in sensors]
            ticks = [
                instance.get_ticks(each.instigator_origin_id, each.selector_id, limit=1) for each in states
            ]
        return [tick for found in ticks for tick in found]


@contextmanager
def operated(settings: Settings) -> Iterator[Operator]:
    """Run Dagster with all its sensors."""
    with served(HouseDagster(settings)):
        yield Operator(settings)


def make_user(house: House) -> str:
    """Make the user that the service mongo-init makes, and return the URL with which it logs in."""
    root_url = house.servers["mongodb"].url
    roles = [{"role": "readWrite", "db": name} for name in ("twin", "twin_meta")]
    with MongoClient[dict[str, Any]](root_url) as root:
        root.admin.command({"createUser": "twin", "pwd": PASSWORD, "roles": roles})
    return re.sub(r"//.*@", f"//twin:{quote(PASSWORD, safe='')}@", root_url)


def _beat_s(run: DagsterRun) -> float:
    return float(run.tags.get(HEARTBEAT_TAG) or 0)


def _is_meant(sensor: Selector, names: Sequence[str]) -> bool:
    return not names or sensor["sensorName"] in names
