"""The servers as a careful operator runs them: TLS alone, and logins with few rights."""

from __future__ import annotations

import json
import shutil
import subprocess
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

import pytest
from pymongo import MongoClient
from pymongo.errors import OperationFailure, PyMongoError

from twin_assets.errors import ServerUnavailable
from twin_assets.source.replica_set import REPLICA_SET
from twin_assets.stack.ports import LOOPBACK
from twin_assets.stack.process import Launch
from twin_assets.stack.rabbitmq import RabbitServer, definitions_of
from twin_assets.stack.servers import MongoServer, QdrantServer
from twin_assets.store.point_store import PointStore

# Percent-encoded in a URL, so that whoever decodes or quotes it is noticed.
PASSWORD = "s3cret/w0rd@:%"
QUOTED_PASSWORD = "s3cret%2Fw0rd%40%3A%25"
QDRANT_KEY = "wr1te-k3y"
QDRANT_READ_KEY = "re4d-k3y"
DATABASE = "guarded"


@dataclass(frozen=True)
class Certificate:
    """A key and a certificate for loopback that is its own authority."""

    key: Path
    own: Path

    @property
    def together(self) -> Path:
        """Both in one file, as MongoDB wants them."""
        path = self.own.with_name("together.pem")
        path.write_text(self.key.read_text() + self.own.read_text())
        return path


def make_certificate(folder: Path) -> Certificate:
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("openssl is not installed")
    made = Certificate(folder / "key.pem", folder / "certificate.pem")
    command = f"{openssl} req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost"
    names = f"-addext subjectAltName=IP:127.0.0.1,DNS:localhost -keyout {made.key} -out {made.own}"
    subprocess.run([*command.split(), *names.split()], check=True, capture_output=True)
    return made


class GuardedMongo(MongoServer):
    """mongod that asks for TLS and a login; the first user is made while nobody else can reach it."""

    roles: ClassVar[dict[str, list[dict[str, str]]]] = {
        "twin": [{"role": "read", "db": DATABASE}, {"role": "readWrite", "db": f"{DATABASE}_meta"}],
        "author": [{"role": "readWrite", "db": DATABASE}],
    }

    def __init__(self, state: Path, *, port: int, tools: Path, certificate: Certificate) -> None:
        super().__init__(state, port=port, tools=tools)
        self._certificate = certificate

    def launch(self) -> Launch:
        launch = super().launch()
        key = self.folder / "members.key"
        if not key.exists():
            key.touch(mode=0o600)
            key.write_text("onlyOneMemberKnowsThis")
        command = [*launch.command, "--auth", "--keyFile", str(key)]
        command += ["--tlsMode", "requireTLS", "--tlsCertificateKeyFile", str(self._certificate.together)]
        # MongoDB wants an authority for its members; clients show no certificate.
        command += ["--tlsCAFile", str(self._certificate.own), "--tlsAllowConnectionsWithoutCertificates"]
        return replace(launch, command=command)

    def is_ready(self) -> bool:
        """Initiate the set and make the users, as far as that is not done."""
        try:
            with self._direct() as client:
                try:
                    members = [{"_id": 0, "host": self._address}]
                    client.admin.command("replSetInitiate", {"_id": REPLICA_SET, "members": members})
                except OperationFailure:
                    pass
                if client.admin.command("hello")["isWritablePrimary"]:
                    self._make_users(client)
                    return True
        except PyMongoError:
            pass
        return False

    def url_for(self, user: str, *, password: str = QUOTED_PASSWORD, authority: Path | None = None) -> str:
        options = f"replicaSet={REPLICA_SET}&authSource=admin&tls=true"
        trusted = f"&tlsCAFile={authority}" if authority else ""
        return f"mongodb://{user}:{password}@{self._address}/?{options}{trusted}"

    def _make_users(self, client: MongoClient[dict[str, Any]]) -> None:
        root = {"createUser": "root", "pwd": PASSWORD, "roles": ["root"]}
        client.admin.command(root)
        url = self.url_for("root", authority=self._certificate.own)
        with MongoClient[dict[str, Any]](url, directConnection=True) as administrator:
            for name, roles in self.roles.items():
                administrator.admin.command({"createUser": name, "pwd": PASSWORD, "roles": roles})

    def _direct(self) -> MongoClient[dict[str, Any]]:
        return MongoClient(
            f"mongodb://{self._address}/?tls=true",
            tlsCAFile=str(self._certificate.own),
            directConnection=True,
            serverSelectionTimeoutMS=2000,
        )


class GuardedRabbit(RabbitServer):
    """RabbitMQ with TLS and a user per task; only what they may configure, write and read differs."""

    permissions: ClassVar[dict[str, dict[str, str]]] = {
        "capture": {"configure": r"^twin\.", "write": r"^amq\.default$", "read": r"^$"},
        "stream": {"configure": r"^twin\.dead(\.reader)?$", "write": r"^amq\.default$", "read": r"^twin\."},
        "watcher": {"configure": r"^$", "write": r"^$", "read": r"^$"},
    }

    def __init__(self, state: Path, *, tls_port: int, certificate: Certificate, **ports: int) -> None:
        super().__init__(state, vhosts=("twin",), **ports)
        self._tls_port = tls_port
        self._certificate = certificate

    def launch(self) -> Launch:
        launch = super().launch()
        definitions: dict[str, list[Any]] = dict(definitions_of(self._vhosts))
        for name, rights in self.permissions.items():
            definitions["users"].append({"name": name, "password": PASSWORD, "tags": []})
            definitions["permissions"].append({"user": name, "vhost": "twin", **rights})
        self._write("definitions.json", json.dumps(definitions))
        settings = [
            f"listeners.ssl.1 = {LOOPBACK}:{self._tls_port}",
            f"ssl_options.certfile = {self._certificate.own}",
            f"ssl_options.keyfile = {self._certificate.key}",
        ]
        configuration = self.folder / "rabbitmq.conf"
        configuration.write_text(configuration.read_text() + "\n".join(settings) + "\n")
        return launch

    def url_for(self, user: str, *, password: str = QUOTED_PASSWORD, authority: Path | None = None) -> str:
        trusted = f"?cafile={authority}" if authority else ""
        return f"amqps://{user}:{password}@{LOOPBACK}:{self._tls_port}/twin{trusted}"


class GuardedQdrant(QdrantServer):
    """Qdrant with TLS, one key that may do everything and one that may read."""

    def __init__(self, state: Path, *, certificate: Certificate, tools: Path, **ports: int) -> None:
        super().__init__(state, tools=tools, **ports)
        self._certificate = certificate

    @property
    def url(self) -> str:
        return super().url.replace("http:", "https:")

    def is_ready(self) -> bool:
        try:
            with PointStore(
                self.url, api_key=QDRANT_KEY, ca_file=self._certificate.own, timeout_s=2
            ) as store:
                store.check()
        except ServerUnavailable:
            return False
        return True

    def launch(self) -> Launch:
        launch = super().launch()
        own = {
            "QDRANT__SERVICE__ENABLE_TLS": "true",
            "QDRANT__TLS__CERT": str(self._certificate.own),
            "QDRANT__TLS__KEY": str(self._certificate.key),
            "QDRANT__SERVICE__API_KEY": QDRANT_KEY,
            "QDRANT__SERVICE__READ_ONLY_API_KEY": QDRANT_READ_KEY,
        }
        return replace(launch, environment={**launch.environment, **own})
