"""MongoDB and Qdrant: how each is launched, and how each shows that it is ready."""

from __future__ import annotations

import urllib.error
import urllib.request
from http import HTTPStatus
from pathlib import Path

from twin_assets.source.replica_set import REPLICA_SET, initiate_replica_set, is_writable
from twin_assets.stack.binaries import find_mongod, find_qdrant, library_path
from twin_assets.stack.ports import LOOPBACK
from twin_assets.stack.process import Launch
from twin_assets.stack.server import Server, plain_environment


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
        command += ["--port", str(self.port), "--dbpath", str(self.folder), "--nounixsocket", "--quiet"]
        command += ["--oplogSize", "128", "--wiredTigerCacheSizeGB", "0.5"]
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
            "QDRANT__LOG_LEVEL": "WARN",  # its INFO is a line for every request
        }
        return Launch([str(find_qdrant(self._tools))], plain_environment() | environment)
