"""docker-compose.yaml without Docker: the same commands, environments, files and volumes, as processes."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from scripts.image.mounts import Bind
from scripts.image.record import Image
from scripts.image.run import Container, Service
from twin_assets.stack.dagster_api import DagsterApi
from twin_assets.stack.rabbitmq import EpmdServer
from twin_assets.stack.server import plain_environment
from twin_assets_tests.deploy.files import ROOT, interpolate, read_dotenv_example, read_yaml
from twin_assets_tests.deploy.image.servers import (
    RABBITMQ,
    ComposeBroker,
    ComposeMongo,
    ComposePostgres,
    ComposeQdrant,
    EmptyMongo,
)
from twin_assets_tests.mongo_shell import initiate
from twin_assets_tests.postgres import PASSWORD
from twin_assets_tests.programs import require_mongosh, require_postgres
from twin_assets_tests.scenarios.own_servers import served
from twin_assets_tests.waiting import wait_until

# What .env would hold: a password of letters and digits for everything that .env.example leaves empty.
REQUIRED = {name for name, value in read_dotenv_example().items() if not value and "INDEX" not in name}
VARIABLES = {name: f"5ecret{name.replace('_', '').lower()}" for name in REQUIRED}
VARIABLES["POSTGRES_PASSWORD"] = PASSWORD
OURS = ("code", "webserver", "daemon")
SERVERS = ("mongo", "rabbitmq", "qdrant", "postgres")
READY_LIMIT_S = 120
STOP_LIMIT_S = 90


@dataclass
class System:
    """What `docker compose up` would have made; `services` is compose's own text, filled in."""

    services: dict[str, Any]
    state: Path
    containers: dict[str, Container]
    dagster: DagsterApi

    def start(self) -> None:
        """Start our services in the order of `depends_on`, each waiting for the other's health."""
        for name in OURS:
            self.containers[name].start()
            self.await_health(name)

    def stop(self) -> dict[str, int]:
        """Stop them by the image's signal and return their codes; runs end before the code location."""
        codes = {"daemon": self.containers["daemon"].stop()}
        self.dagster.terminate(list(self.dagster.active_runs()))
        wait_until(lambda: not self.dagster.active_runs(), what="all runs are over", limit_s=STOP_LIMIT_S)
        return codes | {name: self.containers[name].stop() for name in ("webserver", "code")}

    def health(self, name: str) -> subprocess.CompletedProcess[str]:
        """Ask a service for its health with compose's command, or the image's."""
        container = self.containers.get(name)
        if container is None:
            return self._ask_server(name)
        given = self.services[name].get("healthcheck", {}).get("test")
        assert container.image.health is not None
        return container.execute(*(given[1:] if given else container.image.health.command))

    def await_health(self, name: str) -> None:
        def is_healthy() -> bool:
            container = self.containers.get(name)
            if container is not None and container.exit_code() is not None:
                raise AssertionError(
                    f"{name} ended with code {container.exit_code()}: {last_lines(container)}"
                )
            return self.health(name).returncode == 0

        wait_until(is_healthy, what=f"{name} is healthy by its own check", limit_s=READY_LIMIT_S, poll_s=0.5)

    def _ask_server(self, name: str) -> subprocess.CompletedProcess[str]:
        """Run a check of a server on the host, where its image's programs are."""
        command = self.services[name]["healthcheck"]["test"][1:]
        programs = [str(require_mongosh().parent), str(RABBITMQ), str(require_postgres())]
        path = os.pathsep.join([*programs, os.environ["PATH"]])
        environment = plain_environment() | {"PATH": path, "HOME": str(self.state)}
        if name == "rabbitmq":
            environment |= ComposeBroker.tools_environment(self.state)
        return subprocess.run(
            command, env=environment, capture_output=True, text=True, timeout=60, check=False
        )


@contextmanager
def running_system(image: Image, state: Path) -> Iterator[System]:
    services = interpolate(read_yaml("docker-compose.yaml")["services"], VARIABLES)
    containers = {name: _container(image, name, services[name], state) for name in OURS}
    system = System(services, state, containers, DagsterApi("http://webserver:3000"))
    with ExitStack() as stack:
        stack.enter_context(running_servers(services, state))
        for name in SERVERS:
            system.await_health(name)
        for container in containers.values():
            stack.callback(container.kill)
        system.start()
        yield system
        system.stop()


@contextmanager
def running_servers(services: dict[str, Any], state: Path) -> Iterator[None]:
    """Run MongoDB with its users, RabbitMQ, Qdrant and PostgreSQL."""
    environments = {name: service.get("environment", {}) for name, service in services.items()}
    empty = EmptyMongo(state, environments["mongo"])
    with served(empty):
        empty.make_root()
    epmd = EpmdServer(state, port=4369)
    broker = ComposeBroker(state, environments["rabbitmq"], epmd_port=epmd.port)
    qdrant = ComposeQdrant(state, environments["qdrant"])
    postgres = ComposePostgres(state)
    try:
        with served(ComposeMongo(state, environments["mongo"]), epmd, broker, qdrant, postgres):
            done = initiate(state, environments["mongo-init"])
            assert done.returncode == 0, done.stdout + done.stderr
            yield
    finally:
        postgres.remove()


def _container(image: Image, name: str, service: dict[str, Any], state: Path) -> Container:
    files, volumes = [], []
    for text in service["volumes"]:
        source, target = text.split(":")[:2]
        if target.endswith("/dagster.yaml"):
            files.append(Bind(str(_without_docker(ROOT / source, state)), target))
        elif source.startswith("./"):
            files.append(Bind(str(ROOT / source), target))
        elif source != "/var/run/docker.sock":
            volumes.append(Bind(str(state / "volumes" / source), target, read_only=False))
    files.append(Bind("/etc/hosts", "/etc/hosts"))
    wanted = Service(
        name,
        command=service.get("command"),
        environment=service["environment"],
        files=files,
        volumes=volumes,
        tmpfs=service["tmpfs"],
    )
    return Container(image, wanted, state)


def _without_docker(source: Path, state: Path) -> Path:
    """Leave the run launcher out: the default one starts runs in the code location's container."""
    instance = yaml.safe_load(source.read_text())
    assert instance.pop("run_launcher")["class"] == "DockerRunLauncher"
    copy = state / "dagster.yaml"
    copy.write_text(yaml.safe_dump(instance))
    copy.chmod(0o644)
    return copy


def last_lines(container: Container, count: int = 15) -> str:
    return "\n".join(container.log.read_text(errors="replace").splitlines()[-count:])
