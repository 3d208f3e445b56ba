"""Dagster's services of docker-compose.yaml as plain processes, with its memory in PostgreSQL."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psutil
import yaml
from dagster._grpc.client import DagsterGrpcClient

from twin_assets.cli.long_runs import ACTIVE, HEARTBEAT_TAG, LONG_RUNS
from twin_assets.errors import StackError
from twin_assets.settings import Settings
from twin_assets.stack.dagster_api import DagsterApi
from twin_assets.stack.ports import LOOPBACK, is_free
from twin_assets.stack.process import Launch
from twin_assets.stack.server import Server
from twin_assets_tests.deploy.files import ROOT, read_yaml
from twin_assets_tests.free_ports import free_port
from twin_assets_tests.postgres import PostgresServer
from twin_assets_tests.scenarios.operating.run_processes import FOLDER, RunProcesses, worker_of
from twin_assets_tests.scenarios.own_servers import restart
from twin_assets_tests.scenarios.processes import environment_of
from twin_assets_tests.waiting import wait_until

PORT = "PORT"
RUNS_S = 180.0
END_S = 10.0


class Service(Server):
    """One of them, with the environment that it was last given."""

    start_timeout_s = 120.0

    def __init__(self, name: str, state: Path, command: list[str]) -> None:
        self.name = name
        super().__init__(state, {"PORT": free_port()})
        self._command = [sys.executable, "-m", *command]
        self.environment: dict[str, str] = {}

    @property
    def url(self) -> str:
        return f"http://{LOOPBACK}:{self.port}"

    def launch(self) -> Launch:
        command = [str(self.port) if word == PORT else word for word in self._command]
        return Launch(command, self.environment, ROOT)


class CodeLocation(Service):
    def is_ready(self) -> bool:
        return not is_free(self.port) and DagsterGrpcClient(self.port).health_check_query() == "SERVING"


class Webserver(Service):
    def is_ready(self) -> bool:
        api = DagsterApi(self.url)
        return api.is_up() and api.is_loaded()


class Daemon(Service):
    def is_ready(self) -> bool:
        return self.process.find() is not None


class DagsterServices:
    """Code location, webserver and daemon, and the runs that these start."""

    def __init__(self, state: Path, settings: Settings, postgres: PostgresServer) -> None:
        self.home = state / "dagster"
        self.settings = settings
        self._postgres = postgres
        module = ["--module-name", "twin_assets.definitions"]
        workspace = ["--workspace", str(self.home / "workspace.yaml")]
        listen = ["--host", LOOPBACK, "--port", PORT]
        self.code = CodeLocation("code", state, ["dagster", "api", "grpc", *listen, *module])
        self.webserver = Webserver("webserver", state, ["dagster_webserver", *listen, *workspace])
        self.daemon = Daemon("daemon", state, ["dagster._daemon", "run", *workspace])
        self._all = (self.code, self.webserver, self.daemon)
        self._write_home()

    @property
    def api(self) -> DagsterApi:
        return DagsterApi(self.webserver.url)

    def up(self) -> None:
        """Start what has another environment than before anew, as `docker compose up --wait` does."""
        environment = self._environment()
        changed = [service for service in self._all if service.environment != environment]
        for service in reversed(changed):
            service.stop()
        for service in changed:
            service.environment = environment
            restart(service)

    def long_runs(self) -> list[str]:
        """Return the ids of the long runs, once just one of each is at work; none until then."""
        found = [run for run in self._latest() if run["status"] in ACTIVE]
        ready = [run["status"] for run in found] == ["STARTED"] * len(LONG_RUNS)
        beating = all(run["tags"].get(HEARTBEAT_TAG) for run in found)
        return [str(run["runId"]) for run in found] if ready and beating else []

    def await_long_runs(self, *, besides: Sequence[str] = ()) -> list[str]:
        """Wait until there is one of each, and none of the old ones."""

        def others() -> list[str]:
            found = self.long_runs()
            return [] if set(found) & set(besides) else found

        return wait_until(others, what="one of each long run is at work", limit_s=RUNS_S, poll_s=0.5)

    def has_beaten(self, run_id: str, *, since: float) -> bool:
        return any(
            float(run["tags"].get(HEARTBEAT_TAG) or 0) > since
            for run in self._latest()
            if run["runId"] == run_id
        )

    def said_by(self, run_id: str) -> str:
        return (self.home / FOLDER / f"{run_id}.log").read_text()

    def worker_of(self, run_id: str) -> psutil.Process | None:
        return worker_of(self.home / FOLDER, run_id)

    def close(self) -> None:
        """End them, then the runs."""
        for service in reversed(self._all):
            service.stop()
        for file in (self.home / FOLDER).glob("*.pid"):
            if worker := self.worker_of(file.stem):
                worker.kill()
                worker.wait(END_S)

    def _latest(self) -> list[dict[str, Any]]:
        # Once PostgreSQL has been away, the webserver's first answer is an error.
        with suppress(StackError):
            return [run for job in LONG_RUNS for run in self.api.latest_runs(job)]
        return []

    def _environment(self) -> dict[str, str]:
        login = {"HOST": "PGHOST", "DB": "PGDATABASE", "USER": "PGUSER", "PASSWORD": "PGPASSWORD"}
        memory = {f"DAGSTER_POSTGRES_{ours}": self._postgres.environment[its] for ours, its in login.items()}
        return environment_of(self.settings) | memory | {"DAGSTER_HOME": str(self.home)}

    def _write_home(self) -> None:
        self.home.mkdir()
        instance = read_yaml("deploy/compose/dagster.yaml")
        instance["storage"]["postgres"]["postgres_db"]["port"] = self._postgres.port
        instance["run_launcher"] = {"module": RunProcesses.__module__, "class": RunProcesses.__name__}
        instance["compute_logs"]["config"]["base_dir"] = str(self.home / "logs")
        (self.home / "dagster.yaml").write_text(yaml.safe_dump(instance))
        workspace = read_yaml("deploy/compose/workspace.yaml")
        workspace["load_from"][0]["grpc_server"] |= {"host": LOOPBACK, "port": self.code.port}
        (self.home / "workspace.yaml").write_text(yaml.safe_dump(workspace))


@contextmanager
def dagster_services(state: Path, settings: Settings, postgres: PostgresServer) -> Iterator[DagsterServices]:
    services = DagsterServices(state, settings, postgres)
    try:
        services.up()
        yield services
    finally:
        services.close()
