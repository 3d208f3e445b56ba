"""All servers of one installation, asking for passwords where those of the compose file do."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import quote

from pymongo import MongoClient
from pymongo.errors import OperationFailure, PyMongoError

from twin_assets.settings import Settings, load_settings
from twin_assets.source.replica_set import REPLICA_SET
from twin_assets.stack.binaries import RABBITMQ_SERVER
from twin_assets.stack.process import Launch
from twin_assets.stack.rabbitmq import NODE, RabbitServer
from twin_assets.stack.server import Server, plain_environment
from twin_assets.stack.servers import MongoServer, QdrantServer
from twin_assets_tests.deploy.files import ROOT
from twin_assets_tests.free_ports import free_port
from twin_assets_tests.postgres import PostgresServer
from twin_assets_tests.programs import require_mongo_tools, require_postgres
from twin_assets_tests.scenarios.operating.backup_steps import Steps
from twin_assets_tests.scenarios.own_servers import TOOLS, own_broker, served
from twin_assets_tests.small import SMALL_FLOW

ROOT_PASSWORD = "r00t'\"\\word"
QDRANT_KEY = "qdrantkey"
START = ROOT / "deploy/compose/mongo/start.sh"
KEY_FILE = "/data/configdb/keyfile"


class PasswordMongo(MongoServer):
    """mongod that asks for a login, with the first user that compose's image makes.

    Another `key` counts from its next start; `password` is what root logs in with.
    """

    password = ROOT_PASSWORD
    key = "onlyOneMemberKnowsThis"

    @property
    def key_file(self) -> Path:
        return self.folder / "members.key"

    def launch(self) -> Launch:
        launch = super().launch()
        [write] = [line for line in START.read_text().splitlines() if line.endswith(f">{KEY_FILE})")]
        command = ["sh", "-euc", write.replace(KEY_FILE, str(self.key_file))]
        subprocess.run(command, env={"MONGO_REPLICA_KEY": self.key}, check=True)
        return replace(launch, command=[*launch.command, "--keyFile", str(self.key_file)])

    @property
    def url(self) -> str:
        return self.url_of("root", self.password)

    def url_of(self, user: str, password: str) -> str:
        """Return the URL with which a user logs in."""
        login = f"{user}:{quote(password, safe='')}"
        return f"mongodb://{login}@{self._address}/?replicaSet={REPLICA_SET}&authSource=admin"

    @property
    def address(self) -> str:
        return self._address

    def is_ready(self) -> bool:
        """Initiate the set and make the user, as far as that is not done."""
        try:
            with MongoClient[dict[str, Any]](
                self._address, directConnection=True, serverSelectionTimeoutMS=2000
            ) as client:
                members = [{"_id": 0, "host": self._address}]
                with suppress(OperationFailure):
                    client.admin.command("replSetInitiate", {"_id": REPLICA_SET, "members": members})
                if not client.admin.command("hello")["isWritablePrimary"]:
                    return False
                with suppress(OperationFailure):
                    client.admin.command({"createUser": "root", "pwd": self.password, "roles": ["root"]})
                return True
        except PyMongoError:
            return False


class KeyedQdrant(QdrantServer):
    """Qdrant that asks for a key; another one counts from its next start."""

    key = QDRANT_KEY

    def launch(self) -> Launch:
        launch = super().launch()
        return replace(launch, environment={**launch.environment, "QDRANT__SERVICE__API_KEY": self.key})


@dataclass(frozen=True)
class House:
    """One installation."""

    servers: dict[str, Server]
    state: Path

    def settings(self, **overrides: Any) -> Settings:
        broker = self.servers["rabbitmq"]
        urls = {name: self.servers[name].url for name in ("mongodb", "qdrant")}
        given = {"mongodb_url": urls["mongodb"], "rabbitmq_url": broker.url} | SMALL_FLOW | overrides
        return load_settings(
            state_dir=self.state, qdrant_url=urls["qdrant"], qdrant_api_key=self.qdrant.key, **given
        )

    def steps(self, backups: Path, settings: Settings) -> Steps:
        """Return the steps of a backup of this installation."""
        broker, epmd = (self.servers[name] for name in ("rabbitmq", "epmd"))
        where = {
            "MONGO_HOST": f"127.0.0.1:{self.mongod.port}",
            "MONGO_ROOT_PASSWORD": self.mongod.password,
            "RABBITMQ_NODE": NODE,
            "HOME": str(broker.folder),
            "ERL_EPMD_PORT": str(epmd.port),
            "TWIN_MONGODB_URL": self.mongod.url,
            "TWIN_MONGODB_DATABASE": settings.mongodb_database,
            "TWIN_RABBITMQ_URL": broker.url,
            "TWIN_QDRANT_URL": self.servers["qdrant"].url,
            "TWIN_QDRANT_API_KEY": self.qdrant.key,
            **self.postgres.environment,
        }
        programs = [require_mongo_tools(), require_postgres(), RABBITMQ_SERVER.parent]
        return Steps(backups, where=where, programs=programs)

    def control_broker(self, *command: str, told: str | None = None) -> None:
        """Run `rabbitmqctl`; `told` is what it is answered."""
        broker, epmd = self.servers["rabbitmq"], self.servers["epmd"]
        environment = plain_environment() | {"HOME": str(broker.folder), "ERL_EPMD_PORT": str(epmd.port)}
        control = RABBITMQ_SERVER.with_name("rabbitmqctl")
        subprocess.run(
            [control, "--quiet", "--node", NODE, *command],
            env=environment,
            input=told,
            text=True,
            check=True,
            capture_output=True,
        )

    @property
    def mongod(self) -> PasswordMongo:
        server = self.servers["mongodb"]
        assert isinstance(server, PasswordMongo)
        return server

    @property
    def qdrant(self) -> KeyedQdrant:
        server = self.servers["qdrant"]
        assert isinstance(server, KeyedQdrant)
        return server

    @property
    def postgres(self) -> PostgresServer:
        server = self.servers["postgres"]
        assert isinstance(server, PostgresServer)
        return server


@contextmanager
def house(state: Path) -> Iterator[House]:
    """Run one of each server."""
    epmd, broker = own_broker(state, vhosts=("/",), kind=RabbitServer)
    mongod = PasswordMongo(state, port=free_port(), tools=TOOLS)
    qdrant = KeyedQdrant(state, port=free_port(), grpc_port=free_port(), tools=TOOLS)
    postgres = PostgresServer(state, port=free_port(), programs=require_postgres())
    servers = (epmd, broker, mongod, qdrant, postgres)
    try:
        with served(*servers):
            yield House({server.name: server for server in servers}, state)
    finally:
        postgres.remove()
