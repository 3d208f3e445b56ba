"""Which servers belong to a state directory, and the file that tells everyone else where they are."""

from __future__ import annotations

import json
import os
from pathlib import Path

from pydantic import SecretStr

from twin_assets.errors import StackError
from twin_assets.settings import STACK_FILE, Settings
from twin_assets.stack.dagster import DagsterServer
from twin_assets.stack.rabbitmq import EpmdServer, RabbitServer
from twin_assets.stack.server import Server
from twin_assets.stack.servers import MongoServer, QdrantServer


class Roster:
    """The servers of one state directory in the order of their start; `foreign` are those named by URL."""

    def __init__(self, settings: Settings, state: Path, *, project: Path) -> None:
        self._file = state / STACK_FILE
        self.dagster = DagsterServer(state, port=settings.local_dagster_port, project=project)
        self.servers = _servers_of(settings, state)
        self.foreign = {name for name, server in self.servers.items() if self._is_foreign(settings, server)}
        if "rabbitmq" in self.foreign:
            self.foreign.add("epmd")

    @property
    def own(self) -> list[Server]:
        """The servers that are ours to start."""
        return [server for name, server in self.servers.items() if name not in self.foreign]

    @property
    def stages(self) -> list[list[Server]]:
        """What is ours, in the order of starting: RabbitMQ would bring a port mapper of its own."""
        epmd: list[Server] = [server for server in self.own if isinstance(server, EpmdServer)]
        return [epmd, [server for server in self.own if server not in epmd]]

    @property
    def everything(self) -> list[Server]:
        """All that may ever have been started here, in the order in which it has to stop."""
        return [self.dagster, *reversed(self.servers.values())]

    def record(self) -> None:
        """Write down the URLs of what runs; settings read them below what a person has set."""
        running = [server for server in [*self.own, self.dagster] if server.process.find()]
        text = json.dumps({_url_field(server): server.url for server in running}, indent=2)
        draft = self._file.with_suffix(".new")
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            file.write(text + "\n")
        draft.replace(self._file)

    def forget(self) -> None:
        """Remove what was written down, since nothing runs any more."""
        self._file.unlink(missing_ok=True)

    def require_known_port(self, server: Server) -> None:
        """Raise StackError where a server runs already, but on another port than is now set."""
        recorded = self._recorded().get(_url_field(server), server.url)
        if server.process.find() and recorded != server.url:
            raise StackError(
                f"{server.name} still runs at {recorded}; stop it with `twin down` before it gets a new port"
            )

    def _recorded(self) -> dict[str, str]:
        try:
            urls: dict[str, str] = json.loads(self._file.read_text())
        except (OSError, ValueError):
            return {}
        return urls

    def _is_foreign(self, settings: Settings, server: Server) -> bool:
        field = _url_field(server)
        url: SecretStr | None = getattr(settings, field, None)
        return url is not None and url.get_secret_value() not in {server.url, self._recorded().get(field)}


def _servers_of(settings: Settings, state: Path) -> dict[str, Server]:
    epmd = EpmdServer(state, port=settings.local_epmd_port)
    servers: list[Server] = [
        MongoServer(state, port=settings.local_mongodb_port, tools=settings.tools_dir),
        epmd,
        RabbitServer(
            state,
            port=settings.local_rabbitmq_port,
            dist_port=settings.local_rabbitmq_dist_port,
            epmd_port=epmd.port,
        ),
        QdrantServer(
            state,
            port=settings.local_qdrant_port,
            grpc_port=settings.local_qdrant_grpc_port,
            tools=settings.tools_dir,
        ),
    ]
    return {server.name: server for server in servers}


def _url_field(server: Server) -> str:
    return f"{server.name}_url"
