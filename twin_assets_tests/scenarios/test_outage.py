"""Servers that are killed while people write: both flows wait, and then everything is in step."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from twin_assets.stack.rabbitmq import RabbitServer
from twin_assets.stack.server import Server
from twin_assets_tests.scenarios.assertions import assert_clean
from twin_assets_tests.scenarios.own_servers import await_registered, kill, own_servers, restart
from twin_assets_tests.scenarios.people import await_more, writing
from twin_assets_tests.waiting import wait_until

pytestmark = [pytest.mark.servers, pytest.mark.slow]

VICTIMS = {"MongoDB": "mongodb", "RabbitMQ": "rabbitmq", "Qdrant": "qdrant"}


@pytest.fixture(scope="module")
def servers(
    server_binaries: dict[str, Path], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, Server]]:
    with own_servers(tmp_path_factory.mktemp("killed"), vhosts=tuple(VICTIMS.values())) as found:
        yield found


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
    victim, servers, rabbitmq_url, twin, documents, capturing, streaming, in_step
):
    server, waited_for = servers[VICTIMS[victim]], set()

    def listen(progress) -> None:
        waited_for.add(progress.waiting_for)

    with capturing(report=listen), streaming(report=listen):
        with writing(documents) as written:
            in_step()
            await_registered(servers["rabbitmq"], rabbitmq_url, queues=twin.settings.rabbitmq_queues)
            kill(server)
            wait_until(lambda: victim in waited_for, what=f"a flow waits for {victim}", limit_s=60)
            restart(server)
            await_more(written)
        in_step()
    assert_clean(twin)
    assert twin.dead_letters.count() == 0
