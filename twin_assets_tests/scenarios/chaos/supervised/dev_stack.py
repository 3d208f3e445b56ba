"""`twin dev` as a process of its own, and what its parts are at: runs, their processes, their queues."""

from __future__ import annotations

import re
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import psutil
from dagster import DagsterRunStatus, RunsFilter

from twin_assets.broker.topology import queue_names
from twin_assets.cli.long_runs import dagster_api
from twin_assets.errors import StackError
from twin_assets.settings import URL_SCHEMES, Settings, load_settings
from twin_assets.stack.process import MARK
from twin_assets.stack.stack import LocalStack
from twin_assets_tests.scenarios.consumers import BrokerView, Consumers
from twin_assets_tests.scenarios.processes import environment_of
from twin_assets_tests.scenarios.runs import dagster_instance, worker_of
from twin_assets_tests.waiting import is_gone, wait_until

START_S = 400.0
RUN_S = 300.0
END_S = 300.0
# Each look asks Dagster or the broker, which have work to do.
POLL_S = 1.0
READY = "Ctrl-C stops everything"
STREAM, CAPTURE = "stream_features", "capture_changes"


@dataclass(frozen=True)
class Worker:
    """A run at work, and its process."""

    run_id: str
    process: psutil.Process

    def is_gone(self) -> bool:
        return is_gone(self.process)


class DevStack:
    """`twin dev` with these settings, `state_dir` and ports among them; URLs come once it runs."""

    def __init__(self, **chosen: Any) -> None:
        self._chosen = chosen
        self._log = chosen["state_dir"] / "dev.log"
        self._process: subprocess.Popen[bytes] | None = None
        self.broker = BrokerView(chosen["state_dir"], chosen["local_epmd_port"])

    @property
    def settings(self) -> Settings:
        return load_settings(**self._chosen)

    @property
    def environment(self) -> dict[str, str]:
        """What any Dagster command needs to work on this stack's instance."""
        home = str(self._chosen["state_dir"] / "dagster")
        return environment_of(self.settings) | {"DAGSTER_HOME": home}

    def start(self) -> None:
        """Run `twin dev` until it says that all is up."""
        with self._log.open("wb") as out:
            command = [sys.executable, "-m", "twin_assets", "dev"]
            environment = environment_of(load_settings(**self._chosen | dict.fromkeys(URL_SCHEMES)))
            self._process = subprocess.Popen(command, env=environment, stdout=out, stderr=subprocess.STDOUT)
        wait_until(self._is_up, what="the stack is up", limit_s=START_S)

    def end(self) -> None:
        """End it in good order, or clear away what is left of it."""
        if self._process is not None and self._process.poll() is None:
            self._process.terminate()
            self._process.wait(END_S)
        LocalStack(load_settings(**self._chosen)).down()

    def kill_everything(self) -> None:
        """`kill -9` for `twin dev`, every server, Dagster with all its children, and every run."""
        assert self._process is not None
        self._process.kill()
        self._process.wait(END_S)
        family = self.family()
        for process in family:
            process.kill()
        wait_until(lambda: all(map(is_gone, family)), what="everything is dead")

    def family(self, *words: str) -> list[psutil.Process]:
        """Return this stack's processes whose command line has all of these words."""
        mark = str(self._chosen["state_dir"])
        return [
            process
            for process in psutil.process_iter()
            if _environment_of(process).get(MARK, "").startswith(mark)
            and set(words) <= set(_command_of(process))
        ]

    def said(self) -> str:
        return self._log.read_text()

    def runs(self, *statuses: str, job: str = STREAM) -> list[dict[str, Any]]:
        """Return the latest runs of a job with one of these statuses, newest first."""
        return [run for run in dagster_api(self.settings).latest_runs(job) if run["status"] in statuses]

    def forget_failures(self) -> None:
        """Delete what Dagster keeps of failed and cancelled runs."""
        ended = RunsFilter(statuses=[DagsterRunStatus.FAILURE, DagsterRunStatus.CANCELED])
        with dagster_instance(self.settings) as instance:
            for run in instance.get_runs(ended):
                instance.delete_run(run.run_id)

    def status_of(self, run_id: str) -> str:
        return dagster_api(self.settings).run_status(run_id)

    def find_worker(self, *others: Worker, job: str = STREAM) -> Worker | None:
        """Return the only run of a job that is at work, with its process, unless it is one of `others`."""
        ids = [run["runId"] for run in self.runs("STARTED", job=job)]
        if len(ids) != 1 or ids[0] in {other.run_id for other in others}:
            return None
        process = worker_of(ids[0], self.settings)
        return Worker(ids[0], process) if process else None

    def await_worker(self, *others: Worker) -> Worker:
        """Wait until exactly one stream run works, none of `others`, and alone consumes every queue."""

        def find_alone() -> Worker | None:
            with suppress(StackError):  # Dagster may be on its way back
                found = self.find_worker(*others)
                if found and self.broker.active() == self.all_queues(found.process.pid):
                    return found
            return None

        return wait_until(find_alone, what="one run works and consumes alone", limit_s=RUN_S, poll_s=POLL_S)

    def all_queues(self, pid: int) -> Consumers:
        """Return every queue in the hands of one process alone."""
        return {name: [pid] for name in queue_names(self.settings.rabbitmq_queues)}

    def skip_reasons(self, sensor: str, *, since: float) -> str:
        """Return what a sensor has said in all its ticks since then, a line each."""
        with dagster_instance(self.settings) as instance:
            (state,) = [each for each in instance.all_instigator_state() if each.instigator_name == sensor]
            ticks = instance.get_ticks(state.instigator_origin_id, state.selector_id, after=since)
        return "\n".join(tick.tick_data.skip_reason or "" for tick in ticks)

    def await_skip_reason(self, sensor: str, pattern: str) -> None:
        """Wait until a tick that begins from now on says this."""
        since = time.time()
        wait_until(
            lambda: re.search(pattern, self.skip_reasons(sensor, since=since)),
            what=f"{sensor} says {pattern}",
            limit_s=RUN_S,
            poll_s=POLL_S,
        )

    def _is_up(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, self.said()[-3000:]
        return READY in self.said()


def _environment_of(process: psutil.Process) -> dict[str, str]:
    try:
        return dict(process.environ())
    except (OSError, psutil.Error):
        return {}


def _command_of(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.Error:
        return []
