"""The servers of docker-compose.yaml as processes of the host, with compose's passwords and files."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from pymongo import MongoClient
from pymongo.errors import PyMongoError

from twin_assets.stack.ports import LOOPBACK
from twin_assets.stack.process import Launch
from twin_assets.stack.rabbitmq import NODE, RabbitServer
from twin_assets.stack.servers import MongoServer, QdrantServer
from twin_assets_tests.deploy.files import ROOT
from twin_assets_tests.postgres import PostgresServer
from twin_assets_tests.programs import require_postgres

TOOLS = Path(sys.prefix) / "tools"
RABBITMQ = Path("/usr/lib/rabbitmq/bin")
ONLY_HERE = {"RABBITMQ_NODE_IP_ADDRESS", "QDRANT__SERVICE__HOST"}


class EmptyMongo(MongoServer):
    """mongod without passwords on loopback: what the image's start script makes its first user in."""

    def __init__(self, state: Path, environment: Mapping[str, str]) -> None:
        super().__init__(state, port=27017, tools=TOOLS)
        self._environment = environment

    def launch(self) -> Launch:
        launch = super().launch()
        command = [word for word in launch.command if word not in {"--replSet", "rs0"}]
        return replace(launch, command=command)

    def is_ready(self) -> bool:
        try:
            with self._client() as client:
                return bool(client.admin.command("ping")["ok"])
        except PyMongoError:
            return False

    def make_root(self) -> None:
        name, password = (self._environment[f"MONGO_INITDB_ROOT_{what}"] for what in ("USERNAME", "PASSWORD"))
        with self._client() as client:
            client.admin.command("createUser", name, pwd=password, roles=["root"])

    def _client(self) -> MongoClient[dict[str, Any]]:
        return MongoClient("127.0.0.1", self.port, directConnection=True, serverSelectionTimeoutMS=1000)


class ComposeMongo(EmptyMongo):
    """mongod as deploy/compose/mongo/start.sh runs it: a replica set of one that asks for passwords."""

    def launch(self) -> Launch:
        key = self.folder / "keyfile"
        key.write_text(self._environment["MONGO_REPLICA_KEY"] + "\n")
        key.chmod(0o600)
        launch = super().launch()
        at = list(launch.command).index("--bind_ip")
        command = [*launch.command[:at], *launch.command[at + 2 :]]
        return replace(launch, command=[*command, "--replSet", "rs0", "--keyFile", str(key), "--bind_ip_all"])


class ComposeBroker(RabbitServer):
    """RabbitMQ with compose's file, and the user that its environment names."""

    def __init__(self, state: Path, environment: Mapping[str, str], *, epmd_port: int) -> None:
        super().__init__(state, port=5672, dist_port=25672, epmd_port=epmd_port)
        self._environment = environment

    def launch(self) -> Launch:
        launch = super().launch()
        file = {"RABBITMQ_CONFIG_FILE": str(ROOT / "deploy/compose/rabbitmq.conf")}
        kept = {name: value for name, value in launch.environment.items() if name not in ONLY_HERE}
        return replace(launch, environment=kept | self._environment | file)

    @classmethod
    def tools_environment(cls, state: Path) -> dict[str, str]:
        """Return what rabbitmq-diagnostics needs to find the node and its cookie."""
        home = {"HOME": str(state / cls.name)}
        return home | {"RABBITMQ_NODENAME": NODE, "RABBITMQ_CONF_ENV_FILE": os.devnull}


class ComposeQdrant(QdrantServer):
    """Qdrant with an API key."""

    def __init__(self, state: Path, environment: Mapping[str, str]) -> None:
        super().__init__(state, port=6333, grpc_port=6334, tools=TOOLS)
        self._environment = environment

    def launch(self) -> Launch:
        launch = super().launch()
        kept = {name: value for name, value in launch.environment.items() if name not in ONLY_HERE}
        return replace(launch, environment=kept | self._environment)


class ComposePostgres(PostgresServer):
    """PostgreSQL for every address; its user, database and password are those of all tests."""

    def __init__(self, state: Path) -> None:
        super().__init__(state, port=5432, programs=require_postgres())

    def launch(self) -> Launch:
        launch = super().launch()
        command = ["*" if word == LOOPBACK else word for word in launch.command]
        return replace(launch, command=command)
