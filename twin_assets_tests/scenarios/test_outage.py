"""Servers that are killed while people write: both flows wait, and then everything is in step."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import count
from pathlib import Path

import pytest
from pymongo.errors import PyMongoError

from twin_assets.stack.ports import free_port
from twin_assets.stack.rabbitmq import EpmdServer, RabbitServer
from twin_assets.stack.server import Server
from twin_assets.stack.servers import MongoServer, QdrantServer
from twin_assets_tests.scenarios.assertions import assert_clean
from twin_assets_tests.scenarios.documents import article, post, words
from twin_assets_tests.waiting import wait_until

pytestmark = [pytest.mark.servers, pytest.mark.slow]

TOOLS = Path(sys.prefix) / "tools"
VICTIMS = {"MongoDB": "mongodb", "RabbitMQ": "rabbitmq", "Qdrant": "qdrant"}
DOCUMENTS = 20
PACE_S = 0.02
SOME_WRITES = 30


@pytest.fixture(scope="module")
def servers(
    server_binaries: dict[str, Path], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, Server]]:
    """Servers of our own: those of the session are other tests' as well."""
    state = tmp_path_factory.mktemp("killed")
    epmd = EpmdServer(state, port=free_port())
    vhosts = tuple(VICTIMS.values())
    found: list[Server] = [
        epmd,
        MongoServer(state, port=free_port(), tools=TOOLS),
        QdrantServer(state, port=free_port(), grpc_port=free_port(), tools=TOOLS),
        RabbitServer(state, port=free_port(), dist_port=free_port(), epmd_port=epmd.port, vhosts=vhosts),
    ]
    try:
        for server in found:
            server.start()
        for server in found:
            server.await_ready()
        yield {server.name: server for server in found}
    finally:
        for server in reversed(found):
            server.stop()


@pytest.fixture
def mongodb_url(servers: dict[str, Server]) -> str:
    return servers["mongodb"].url


@pytest.fixture
def qdrant_url(servers: dict[str, Server]) -> str:
    return servers["qdrant"].url


@pytest.fixture
def rabbitmq_url(servers: dict[str, RabbitServer], request: pytest.FixtureRequest) -> str:
    return servers["rabbitmq"].url_of(VICTIMS[request.node.callspec.params["victim"]])


@pytest.mark.parametrize("victim", VICTIMS)
def test_a_killed_server_is_waited_for_and_everything_is_in_step_once_it_is_back(
    victim, servers, twin, documents, capturing, streaming, in_step
):
    server, waited_for, began = servers[VICTIMS[victim]], set(), time.time()

    def listen(progress) -> None:
        waited_for.add(progress.waiting_for)

    with capturing(report=listen), streaming(report=listen):
        with writing(documents) as written:
            in_step()
            await_registered(servers["rabbitmq"], since=began)
            kill(server)
            wait_until(lambda: victim in waited_for, what=f"a flow waits for {victim}", limit_s=60)
            server.start()
            server.await_ready()
            await_more(written)
        in_step()
    assert_clean(twin)
    assert twin.dead_letters.count() == 0


@contextmanager
def writing(documents) -> Iterator[list[int]]:
    """Write, edit and delete a few documents all the time; gives the numbers of the writes that returned."""
    stop, written = threading.Event(), []

    def write(turn: int) -> None:
        number = turn % DOCUMENTS
        if turn % 7 == 3:
            documents.posts.delete_one({"_id": number})
            return
        text = words(10 + turn % 50, prefix=f"t{turn}x")
        documents.posts.replace_one({"_id": number}, post(number, text), upsert=True)
        documents.articles.replace_one({"_id": number}, article(number, text), upsert=True)

    def body() -> None:
        for turn in count():
            if stop.wait(PACE_S):
                return
            with suppress(PyMongoError):  # the next turn tries again, as people do
                write(turn)
                written.append(turn)

    author = threading.Thread(target=body)
    author.start()
    try:
        yield written
    finally:
        stop.set()
        author.join(60)
    assert not author.is_alive()


def await_more(written: list[int]) -> None:
    """Wait until some more writes have returned."""
    before = len(written)
    wait_until(lambda: len(written) >= before + SOME_WRITES, what="people write again", limit_s=60)


def kill(server: Server) -> None:
    process = server.process.find()
    assert process is not None
    process.kill()
    process.wait(10)


def await_registered(broker: Server, *, since: float) -> None:
    """A quorum queue is on disk a second after it is made; killed before that, it never has a leader."""

    def is_written() -> bool:
        found = broker.folder.glob("mnesia/*/quorum/*/names.dets")
        return any(path.stat().st_mtime > since for path in found)

    wait_until(is_written, what="the queues are on disk")
