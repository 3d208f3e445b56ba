"""Servers of a test's own, which may be killed: those of the session are other tests' as well."""

from __future__ import annotations

import sys
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import unquote, urlsplit

from twin_assets.broker.topology import queue_names
from twin_assets.stack.rabbitmq import EpmdServer, RabbitServer
from twin_assets.stack.server import Server
from twin_assets.stack.servers import MongoServer, QdrantServer
from twin_assets_tests.free_ports import free_port
from twin_assets_tests.waiting import wait_until

TOOLS = Path(sys.prefix) / "tools"


@contextmanager
def own_servers(state: Path, *, vhosts: Collection[str]) -> Iterator[dict[str, Server]]:
    """Run one of each, by name."""
    broker = own_broker(state, vhosts=vhosts)
    mongod = MongoServer(state, port=free_port(), tools=TOOLS)
    qdrant = QdrantServer(state, port=free_port(), grpc_port=free_port(), tools=TOOLS)
    with served(*broker, mongod, qdrant):
        yield {server.name: server for server in (*broker, mongod, qdrant)}


def own_broker(
    state: Path, *, vhosts: Collection[str], kind: type[RabbitServer] = RabbitServer
) -> tuple[EpmdServer, RabbitServer]:
    """Return a broker behind what it needs to start, neither running yet."""
    epmd = EpmdServer(state, port=free_port())
    return epmd, kind(state, port=free_port(), dist_port=free_port(), epmd_port=epmd.port, vhosts=vhosts)


@contextmanager
def served(*servers: Server) -> Iterator[None]:
    """Run servers side by side, and stop them in the other order."""
    try:
        for server in servers:
            server.start()
        for server in servers:
            server.await_ready()
        yield
    finally:
        for server in reversed(servers):
            server.stop()


def kill(server: Server) -> None:
    """End it as `kill -9` does."""
    process = server.process.find()
    assert process is not None
    process.kill()
    process.wait(10)


def restart(server: Server) -> None:
    """Start it again, and wait until it answers."""
    server.start()
    server.await_ready()


def await_registered(broker: Server, url: str, *, queues: int) -> None:
    """A quorum queue is on disk a second after it is made; killed before that, it never has a leader."""
    vhost = unquote(urlsplit(url).path[1:]).replace("/", "%2F")
    names = [f"{vhost}_{name}".encode() for name in queue_names(queues)]

    def are_written() -> bool:
        written = b"".join(path.read_bytes() for path in broker.folder.glob("mnesia/*/quorum/*/names.dets"))
        return all(name in written for name in names)

    wait_until(are_written, what="the queues are on disk", limit_s=60)
