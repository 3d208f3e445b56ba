"""A run launcher like Docker's, without Docker: each run outlives whoever launched it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import psutil
from dagster._core.launcher.base import LaunchRunContext, RunLauncher
from dagster._grpc.types import ExecuteRunArgs
from dagster._serdes import ConfigurableClass, ConfigurableClassData

from twin_assets.stack.process import MARK
from twin_assets_tests.waiting import is_gone

# In Dagster's home: each run's pid and output.
FOLDER = "runs"


class RunProcesses(RunLauncher, ConfigurableClass):
    """Starts a process with the launcher's own environment, and ends it by SIGTERM as `docker stop` does."""

    def __init__(self, inst_data: ConfigurableClassData | None = None) -> None:
        self._inst_data = inst_data
        super().__init__()

    @property
    def inst_data(self) -> ConfigurableClassData | None:
        return self._inst_data

    @classmethod
    def config_type(cls) -> dict[str, Any]:
        return {}

    @classmethod
    def from_config_value(
        cls, inst_data: ConfigurableClassData | None, config_value: Mapping[str, Any]
    ) -> RunProcesses:
        return cls(inst_data, **config_value)

    def launch_run(self, context: LaunchRunContext) -> None:
        run, origin = context.dagster_run, context.job_code_origin
        assert origin is not None
        arguments = ExecuteRunArgs(origin, run.run_id, self._instance.get_ref())
        # Not among the launcher's own children, which end with it.
        environment = {name: value for name, value in os.environ.items() if name != MARK}
        folder = _folder()
        folder.mkdir(exist_ok=True)
        with (folder / f"{run.run_id}.log").open("wb") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", *arguments.get_command_args()],
                env=environment,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        (folder / f"{run.run_id}.pid").write_text(str(process.pid))

    def terminate(self, run_id: str) -> bool:
        run = self._instance.get_run_by_id(run_id)
        if run is None or run.is_finished:
            return False
        self._instance.report_run_canceling(run)
        if worker := worker_of(_folder(), run_id):
            worker.terminate()
        return worker is not None


def worker_of(folder: Path, run_id: str) -> psutil.Process | None:
    """Return a run's process while it lives."""
    try:
        process = psutil.Process(int((folder / f"{run_id}.pid").read_text()))
        return None if is_gone(process) or run_id not in str(process.cmdline()) else process
    except psutil.NoSuchProcess:
        return None


def _folder() -> Path:
    return Path(os.environ["DAGSTER_HOME"]) / FOLDER
