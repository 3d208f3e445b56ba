"""The servers of the local stack: how each is launched, and how each shows that it is ready."""

from __future__ import annotations

import json
import os
import subprocess
import time
import urllib.error
import urllib.request
from abc import ABC, abstractmethod
from collections.abc import Collection
from http import HTTPStatus
from pathlib import Path

from twin_assets.errors import StackError
from twin_assets.source.replica_set import REPLICA_SET, initiate_replica_set, is_writable
from twin_assets.stack.binaries import (
    find_epmd,
    find_mongod,
    find_qdrant,
    find_rabbitmq,
    library_path,
)
from twin_assets.stack.ports import LOOPBACK, require_free
from twin_assets.stack.probes import answers_amqp, answers_epmd
from twin_assets.stack.process import ChildProcess, Launch

POLL_S = 0.05
NODE = "twin@localhost"
RABBITMQ_CONFIG = """\
# A consumer may hold messages for a day: embedding a long document must not cost its channel.
consumer_timeout = 86400000
load_definitions = {definitions}
"""


class Server(ABC):
    """One server process on loopback, without a password: whoever may log in on this machine may use it."""

    name: str
    ports: dict[str, int]
    start_timeout_s = 60.0
    stop_timeout_s = 30.0

    def __init__(self, state: Path, ports: dict[str, int]) -> None:
        self.ports = ports
        self.process = ChildProcess(self.name, state.absolute())

    @property
    def folder(self) -> Path:
        """Where the server keeps its data."""
        return self.process.folder

    @property
    @abstractmethod
    def url(self) -> str: ...

    @abstractmethod
    def is_ready(self) -> bool:
        """Ask the server in its own protocol."""

    @abstractmethod
    def launch(self) -> Launch:
        """Write the server's files and say how to run it. Raises StackError where the program is missing."""

    def start(self) -> None:
        """Spawn the server unless it runs already. Raises StackError for a port in use."""
        if self.process.find() is not None:
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        launch = self.launch()
        for setting, port in self.ports.items():
            require_free(port, purpose=self.name, setting=setting)
        self.process.start(launch)

    def await_ready(self) -> None:
        """Return once the server answers. Raises StackError where it ends or stays silent."""
        deadline = time.monotonic() + self.start_timeout_s
        while not self.is_ready():
            if self.process.find() is None and self.process.pid_file.exists():
                raise StackError(f"{self.name} ended while starting: {self._log_hint()}")
            if time.monotonic() > deadline:
                raise StackError(
                    f"{self.name} is not ready after {self.start_timeout_s:.0f} s: {self._log_hint()}"
                )
            time.sleep(POLL_S)

    def stop(self) -> None:
        """End the server; what it has acknowledged is on disk."""
        self.process.stop(timeout_s=self.stop_timeout_s)

    def _log_hint(self) -> str:
        return f"{self.process.last_words()} (log: {self.process.log_file})"

    @property
    def port(self) -> int:
        return next(iter(self.ports.values()))


class MongoServer(Server):
    """mongod as a replica set of one."""

    name = "mongodb"

    def __init__(self, state: Path, *, port: int, tools: Path) -> None:
        super().__init__(state, {"TWIN_LOCAL_MONGODB_PORT": port})
        self._tools = tools

    @property
    def url(self) -> str:
        return f"mongodb://{self._address}/?replicaSet={REPLICA_SET}"

    def is_ready(self) -> bool:
        return initiate_replica_set(self._address) and is_writable(self._address)

    def launch(self) -> Launch:
        command = [str(find_mongod()), "--replSet", REPLICA_SET, "--bind_ip", LOOPBACK]
        command += ["--port", str(self.port), "--dbpath", str(self.folder), "--nounixsocket"]
        command += ["--oplogSize", "128", "--wiredTigerCacheSizeGB", "0.25"]
        return Launch(command, plain_environment() | library_path(self._tools))

    @property
    def _address(self) -> str:
        return f"{LOOPBACK}:{self.port}"


class QdrantServer(Server):
    """Qdrant with REST and gRPC."""

    name = "qdrant"

    def __init__(self, state: Path, *, port: int, grpc_port: int, tools: Path) -> None:
        super().__init__(state, {"TWIN_LOCAL_QDRANT_PORT": port, "TWIN_LOCAL_QDRANT_GRPC_PORT": grpc_port})
        self._tools = tools

    @property
    def url(self) -> str:
        return f"http://{LOOPBACK}:{self.port}"

    def is_ready(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.url}/readyz", timeout=2) as reply:  # noqa: S310 - our own URL
                return bool(reply.status == HTTPStatus.OK)
        except (OSError, urllib.error.URLError):
            return False

    def launch(self) -> Launch:
        port, grpc_port = self.ports.values()
        environment = {
            "QDRANT__SERVICE__HOST": LOOPBACK,
            "QDRANT__SERVICE__HTTP_PORT": str(port),
            "QDRANT__SERVICE__GRPC_PORT": str(grpc_port),
            "QDRANT__STORAGE__STORAGE_PATH": str(self.folder / "storage"),
            "QDRANT__STORAGE__SNAPSHOTS_PATH": str(self.folder / "snapshots"),
            "QDRANT__TELEMETRY_DISABLED": "true",
        }
        return Launch([str(find_qdrant(self._tools))], plain_environment() | environment)


class EpmdServer(Server):
    """Erlang's port mapper, one per stack, so that two stacks may both call their node twin@localhost."""

    name = "epmd"

    def __init__(self, state: Path, *, port: int) -> None:
        super().__init__(state, {"TWIN_LOCAL_EPMD_PORT": port})

    @property
    def url(self) -> str:
        return f"epmd://{LOOPBACK}:{self.port}"

    def is_ready(self) -> bool:
        return answers_epmd(self.port)

    def launch(self) -> Launch:
        command = [str(find_epmd()), "-address", LOOPBACK, "-port", str(self.port)]
        return Launch(command, plain_environment() | {"ERL_EPMD_RELAXED_COMMAND_CHECK": "true"})


class RabbitServer(Server):
    """RabbitMQ with the user guest and the virtual hosts it is given, so that tests need not share one."""

    name = "rabbitmq"

    def __init__(
        self, state: Path, *, port: int, dist_port: int, epmd_port: int, vhosts: Collection[str] = ("/",)
    ) -> None:
        super().__init__(
            state, {"TWIN_LOCAL_RABBITMQ_PORT": port, "TWIN_LOCAL_RABBITMQ_DIST_PORT": dist_port}
        )
        self._epmd_port = epmd_port
        self._vhosts = vhosts

    @property
    def url(self) -> str:
        return self.url_of("/")

    def url_of(self, vhost: str) -> str:
        """Return the URL of one virtual host."""
        return f"amqp://guest:guest@{LOOPBACK}:{self.port}/{vhost.replace('/', '%2F')}"

    def is_ready(self) -> bool:
        return answers_amqp(self.port)

    def launch(self) -> Launch:
        port, dist_port = self.ports.values()
        definitions = self._write("definitions.json", json.dumps(definitions_of(self._vhosts)))
        environment = {
            # Without it a shell stays in between, and the pid would not be the broker's.
            "RUNNING_UNDER_SYSTEMD": "true",
            "HOME": str(self.folder),
            "ERL_EPMD_PORT": str(self._epmd_port),
            "ERL_EPMD_ADDRESS": LOOPBACK,
            "RABBITMQ_NODENAME": NODE,
            "RABBITMQ_NODE_IP_ADDRESS": LOOPBACK,
            "RABBITMQ_NODE_PORT": str(port),
            "RABBITMQ_DIST_PORT": str(dist_port),
            "RABBITMQ_MNESIA_BASE": str(self.folder / "mnesia"),
            "RABBITMQ_LOG_BASE": str(self.folder / "log"),
            "RABBITMQ_LOGS": "-",
            "RABBITMQ_PID_FILE": str(self.folder / "rabbitmq.pid"),
            "RABBITMQ_CONFIG_FILE": self._write(
                "rabbitmq.conf", RABBITMQ_CONFIG.format(definitions=definitions)
            ),
            "RABBITMQ_CONF_ENV_FILE": os.devnull,
            "RABBITMQ_ENABLED_PLUGINS_FILE": self._write("enabled_plugins", "[].\n"),
        }
        return Launch([str(find_rabbitmq())], plain_environment() | environment)

    def add_vhosts(self, vhosts: Collection[str]) -> None:
        """Create virtual hosts in the running broker: seconds for the call, milliseconds for each."""
        definitions = self._write("more_definitions.json", json.dumps(definitions_of(vhosts)))
        control = find_rabbitmq().with_name("rabbitmqctl")
        environment = plain_environment() | {"HOME": str(self.folder), "ERL_EPMD_PORT": str(self._epmd_port)}
        command = [str(control), "--node", NODE, "import_definitions", definitions]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        if done.returncode:
            raise StackError(
                f"rabbitmqctl could not add virtual hosts: {(done.stderr or done.stdout).strip()}"
            )

    def _write(self, name: str, text: str) -> str:
        path = self.folder / name
        path.write_text(text)
        return str(path)


def definitions_of(vhosts: Collection[str]) -> dict[str, list[dict[str, object]]]:
    """Return RabbitMQ's own definitions: guest may do everything in every virtual host."""
    everything = {"configure": ".*", "write": ".*", "read": ".*"}
    return {
        "users": [{"name": "guest", "password": "guest", "tags": ["administrator"]}],
        "vhosts": [{"name": vhost} for vhost in vhosts],
        "permissions": [{"user": "guest", "vhost": vhost, **everything} for vhost in vhosts],
    }


def plain_environment() -> dict[str, str]:
    """Return the little that a server needs of our environment; secrets and foreign settings stay here."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "TMPDIR", "USER") if name in os.environ}
    return kept | {"LANG": "C.UTF-8"}
