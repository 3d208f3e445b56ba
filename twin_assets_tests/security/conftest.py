"""Servers with TLS, logins and few rights, and what the tests here share with those of whole scenarios."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from twin_assets.settings import Settings, load_settings
from twin_assets.stack.rabbitmq import EpmdServer
from twin_assets.stack.server import Server
from twin_assets_tests.conftest import TOOLS
from twin_assets_tests.free_ports import free_port
from twin_assets_tests.scenarios.conftest import (  # noqa: F401 - fixtures
    capturing,
    documents,
    in_step,
    settings,
    streaming,
    twin,
)
from twin_assets_tests.security.servers import (
    DATABASE,
    QDRANT_KEY,
    Certificate,
    GuardedMongo,
    GuardedQdrant,
    GuardedRabbit,
    make_certificate,
)


@dataclass(frozen=True)
class Guarded:
    """The three servers, and the certificate that all of them show."""

    mongodb: GuardedMongo
    rabbitmq: GuardedRabbit
    qdrant: GuardedQdrant
    certificate: Certificate

    def settings(self, state: Path, **overrides: Any) -> Settings:
        """Return settings that know every password and the authority."""
        own = self.certificate.own
        known = {
            "mongodb_url": self.mongodb.url_for("twin", authority=own),
            "mongodb_database": DATABASE,
            "rabbitmq_url": self.rabbitmq.url_for("stream", authority=own),
            "rabbitmq_queues": 2,
            "qdrant_url": self.qdrant.url,
            "qdrant_api_key": QDRANT_KEY,
            "qdrant_ca_file": own,
            "text_model": "hash-32",
            "code_model": "hash-32",
            "marker_interval_s": 0.2,
        }
        return load_settings(state_dir=state, _env_file=None, **(known | overrides))


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    return make_certificate(tmp_path_factory.mktemp("tls"))


@pytest.fixture(scope="session")
def stranger(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    """An authority that has signed nothing of ours."""
    return make_certificate(tmp_path_factory.mktemp("stranger"))


@pytest.fixture(scope="package")
def guarded(
    tmp_path_factory: pytest.TempPathFactory, server_binaries: object, certificate: Certificate
) -> Iterator[Guarded]:
    state = tmp_path_factory.mktemp("guarded")
    epmd = EpmdServer(state, port=free_port())
    servers = Guarded(
        GuardedMongo(state, port=free_port(), tools=TOOLS, certificate=certificate),
        GuardedRabbit(
            state,
            port=free_port(),
            tls_port=free_port(),
            dist_port=free_port(),
            epmd_port=epmd.port,
            certificate=certificate,
        ),
        GuardedQdrant(state, port=free_port(), grpc_port=free_port(), tools=TOOLS, certificate=certificate),
        certificate,
    )
    with ExitStack() as running:
        for stage in ([epmd], [servers.rabbitmq, servers.mongodb, servers.qdrant]):
            _start(stage, running.callback)
        yield servers


def _start(servers: list[Server], at_end: Callable[..., Any]) -> None:
    for server in servers:
        at_end(server.stop)
        server.start()
    for server in servers:
        server.await_ready()
