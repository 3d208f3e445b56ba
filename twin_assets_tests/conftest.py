"""Real servers for the whole test session, started when first asked for; each test gets its own vhost."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from twin_assets.errors import StackError
from twin_assets.stack.binaries import find_epmd, find_mongod, find_qdrant, find_rabbitmq
from twin_assets.stack.rabbitmq import EpmdServer, RabbitServer
from twin_assets.stack.server import Server
from twin_assets.stack.servers import MongoServer, QdrantServer
from twin_assets_tests.free_ports import free_port

TOOLS = Path(sys.prefix) / "tools"
VHOSTS_AT_ONCE = 40

# A busy machine takes seconds over the first examples of a fresh clone, which says nothing about the code.
settings.register_profile("patient", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("patient")

# Coverage installs a trace function in each thread as it starts. While an audit hook written in Python runs,
# as filelock's does, CPython 3.11 refuses any other thread's trace function, and that thread ends unrun.
sys.addaudithook = lambda hook: None

# `make test ARGS="-k ..."` hands these to every make that a test runs, which means another thing by them.
for _name in ("MAKEFLAGS", "ARGS"):
    os.environ.pop(_name, None)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Let workers begin with the files that take minutes: what begins last is waited for by all."""
    if hasattr(config, "workerinput"):
        slow = {item.path for item in items if item.get_closest_marker("slow")}
        items.sort(key=lambda item: item.path not in slow)


@pytest.fixture
def patient_status(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have `read_status` wait for answers longer than a person would, where its patience is not the point."""
    monkeypatch.setattr("twin_assets.operations.status.LIMIT_S", 60.0)
    monkeypatch.setattr("twin_assets.operations.status.MONGODB_LIMIT_S", 30.0)


@pytest.fixture(scope="session")
def server_binaries() -> dict[str, Path]:
    """The servers' programs, by name; skips where one is missing, but fails in CI."""
    return {
        "mongodb": _require(find_mongod),
        "rabbitmq": _require(find_rabbitmq),
        "epmd": _require(find_epmd),
        "qdrant": _require(lambda: find_qdrant(TOOLS)),
    }


@pytest.fixture(scope="session")
def mongodb_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A replica set of one; tests use databases of their own."""
    _require(find_mongod)
    server = MongoServer(tmp_path_factory.mktemp("mongodb"), port=free_port(), tools=TOOLS)
    yield from _serve(server)


@pytest.fixture(scope="session")
def qdrant_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A Qdrant; tests use collections of their own."""
    _require(lambda: find_qdrant(TOOLS))
    state = tmp_path_factory.mktemp("qdrant")
    yield from _serve(QdrantServer(state, port=free_port(), grpc_port=free_port(), tools=TOOLS))


@pytest.fixture
def rabbitmq_url(next_vhost: Callable[[], str]) -> str:
    """A virtual host that nobody has used, on the session's broker."""
    return next_vhost()


@pytest.fixture(scope="session")
def next_vhost(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[], str]]:
    """Give the URL of an unused virtual host at every call."""
    _require(find_rabbitmq)
    state = tmp_path_factory.mktemp("rabbitmq")
    epmd = EpmdServer(state, port=free_port())
    unused = [f"test-{number}" for number in range(VHOSTS_AT_ONCE)]
    broker = RabbitServer(
        state, port=free_port(), dist_port=free_port(), epmd_port=epmd.port, vhosts=tuple(unused)
    )
    created = len(unused)

    def take() -> str:
        nonlocal created
        if not unused:
            unused.extend(f"test-{number}" for number in range(created, created + VHOSTS_AT_ONCE))
            broker.add_vhosts(unused)
            created += VHOSTS_AT_ONCE
        return broker.url_of(unused.pop(0))

    for _ in _serve(epmd):
        for _ in _serve(broker):
            yield take


def _serve(server: Server) -> Iterator[str]:
    try:
        server.start()
        server.await_ready()
        yield server.url
    finally:
        server.stop()


def _require(find: Callable[[], Path]) -> Path:
    try:
        return find()
    except StackError as error:
        if os.environ.get("CI") == "true":
            pytest.fail(str(error))
        pytest.skip(str(error))
