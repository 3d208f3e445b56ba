"""Dagster as a server of the stack: webserver, daemon and code location, stopped in good order."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from contextlib import suppress
from pathlib import Path

from twin_assets.errors import StackError
from twin_assets.stack.dagster_api import DagsterApi, Selector
from twin_assets.stack.ports import LOOPBACK
from twin_assets.stack.process import Launch
from twin_assets.stack.server import Server

PROJECT = Path(__file__).parents[2]
LOCAL_FOLDER = ".twin/dagster"
POLL_S = 0.2
RUNS_END_S = 60.0
# Asking costs a request, a reload takes seconds, and Dagster notices it a moment later.
REVIVAL_PAUSE_S = 15.0


class DagsterServer(Server):
    """`dagster dev` on loopback. Stopping ends the runs first, so that each finishes what it has in hand."""

    name = "dagster"
    start_timeout_s = 180.0

    def __init__(self, state: Path, *, port: int, project: Path = PROJECT) -> None:
        super().__init__(state, {"TWIN_LOCAL_DAGSTER_PORT": port})
        self._state = state.absolute()
        self._project = project
        self._paused_file = self._state / "run" / "paused_sensors.json"
        self._api = DagsterApi(self.url)
        self._looked_s = -REVIVAL_PAUSE_S

    @property
    def url(self) -> str:
        return f"http://{LOOPBACK}:{self.port}"

    def environment(self) -> dict[str, str]:
        """Return our environment plus what every Dagster command on this instance needs."""
        return {**os.environ, "DAGSTER_HOME": str(self.folder), "TWIN_STATE_DIR": str(self._state)}

    def is_ready(self) -> bool:
        return self._api.is_up() and self._api.is_loaded()

    def launch(self) -> Launch:
        self._write_instance()
        command = [sys.executable, "-m", "dagster", "dev", "-w", str(self._project / "workspace.yaml")]
        command += ["-h", LOOPBACK, "-p", str(self.port)]
        return Launch(command, self.environment(), Path.cwd())

    def await_ready(self) -> None:
        """Return once the definitions are loaded; sensors that a stop had paused go on.

        Raises StackError where they cannot be loaded.
        """
        super().await_ready()
        if reason := self._api.load_error():
            raise StackError(f"Dagster cannot load the definitions: {reason} (log: {self.process.log_file})")
        self._resume_sensors()

    def revive_code(self) -> bool:
        """Load the definitions anew where the process that served them was killed; return whether it was.

        Dagster itself goes on without it: no sensor ticks any more, so nobody would replace a dead run.
        """
        if self.process.find() is None or time.monotonic() - self._looked_s < REVIVAL_PAUSE_S:
            return False
        self._looked_s = time.monotonic()
        lost = self._api.unreachable_locations()
        for name in lost:
            self._api.reload_location(name)
        return bool(lost)

    def stop(self) -> None:
        """Pause the sensors, end the runs, then Dagster itself."""
        if self.process.find() is not None and self._api.is_up():
            with suppress(StackError):  # a webserver that dies meanwhile must not keep the rest alive
                self._pause_sensors()
                self._end_runs()
        self.process.stop(first=signal.SIGINT, timeout_s=self.stop_timeout_s)

    def _write_instance(self) -> None:
        source = self._project / "dagster.yaml"
        if not source.exists():
            raise StackError(f"{source} is missing; the local stack runs from a checkout of the project")
        text = source.read_text().replace(LOCAL_FOLDER, str(self.folder))
        (self.folder / "dagster.yaml").write_text(text)

    def _pause_sensors(self) -> None:
        sensors = self._api.running_sensors()
        self._paused_file.write_text(json.dumps([*self._paused(), *sensors.values()]))
        for state_id in sensors:
            self._api.stop_sensor(state_id)

    def _resume_sensors(self) -> None:
        for sensor in self._paused():
            self._api.reset_sensor(sensor)
        self._paused_file.unlink(missing_ok=True)

    def _paused(self) -> list[Selector]:
        if not self._paused_file.exists():
            return []
        sensors: list[Selector] = json.loads(self._paused_file.read_text())
        return sensors

    def _end_runs(self) -> None:
        deadline = time.monotonic() + RUNS_END_S
        while (runs := self._api.active_runs()) and time.monotonic() < deadline:
            # A run that is only starting refuses to end: it is asked again until it has started.
            if unasked := [run for run, status in runs.items() if status != "CANCELING"]:
                self._api.terminate(unasked)
            time.sleep(POLL_S)
