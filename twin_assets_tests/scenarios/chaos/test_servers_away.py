"""Each server goes away in the middle of a write, a capture and a rebuild, while people write on.

It is killed and comes back at once, is restarted in good order, or stays away for a minute.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from twin_assets.faults import FaultPoint
from twin_assets.operations import scan as scan_module
from twin_assets.stack.rabbitmq import RabbitServer
from twin_assets.stack.server import Server
from twin_assets_tests.scenarios.chaos.outage import (
    LIMIT_S,
    Listener,
    counted_points,
    rebuilding,
    struck_at,
    waits_said,
)
from twin_assets_tests.scenarios.own_servers import await_registered, kill, own_servers, restart
from twin_assets_tests.scenarios.people import await_more, writing
from twin_assets_tests.waiting import wait_until

pytestmark = [
    pytest.mark.servers,
    pytest.mark.slow,
    pytest.mark.chaos,
    pytest.mark.nightly,
    pytest.mark.timeout(900),
    pytest.mark.usefixtures("small_batches"),
]

VICTIMS = {"MongoDB": "mongodb", "Qdrant": "qdrant", "RabbitMQ": "rabbitmq"}
KINDS = ("killed", "restarted", "away")
AWAY_S = 60.0
PACE_S = 1.0
SOME_WRITES = 2
# Capture, the stream and a rebuild: each may say once that it waits.
WAITERS = 3
MIDST_OF_A_FLOW = [FaultPoint.STAGED, FaultPoint.HEADS_WRITTEN, FaultPoint.CHANGES_PUBLISHED]


@pytest.fixture(scope="module")
def servers(
    server_binaries: dict[str, Path], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, Server]]:
    vhosts = [f"{kind}-{name}" for kind in KINDS for name in VICTIMS.values()]
    with own_servers(tmp_path_factory.mktemp("away"), vhosts=vhosts) as found:
        yield found


@pytest.fixture
def mongodb_url(servers: dict[str, Server]) -> str:
    return servers["mongodb"].url


@pytest.fixture
def qdrant_url(servers: dict[str, Server]) -> str:
    return servers["qdrant"].url


@pytest.fixture
def rabbitmq_url(servers: dict[str, RabbitServer], request: pytest.FixtureRequest) -> str:
    (kind,) = [kind for kind in KINDS if f"_is_{kind}_" in request.node.name]
    return servers["rabbitmq"].url_of(f"{kind}-{VICTIMS[request.node.callspec.params['victim']]}")


@pytest.fixture
def small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    """A scan of several batches, so that a server can go away between two."""
    monkeypatch.setattr(scan_module, "SCAN_BATCH", 4)


@pytest.mark.parametrize("victim", VICTIMS)
def test_a_server_is_killed_in_the_middle_of_a_write_a_capture_and_a_rebuild(
    victim, servers, rabbitmq_url, twin, documents, capturing, streaming, tally, caplog
):
    server, flows = servers[VICTIMS[victim]], Flows(victim)

    def bring_back() -> None:
        tally.fault()
        flows.await_wait()
        restart(server)

    with (
        capturing(report=flows.capture),
        streaming(report=flows.stream),
        writing(documents, pace_s=PACE_S) as written,
    ):
        tally.in_step()
        await_registered(servers["rabbitmq"], rabbitmq_url, queues=twin.settings.rabbitmq_queues)
        for point in MIDST_OF_A_FLOW:
            with struck_at(point, lambda: kill(server)) as struck:
                wait_until(struck.is_set, what=f"{victim} is killed at {point.name}", limit_s=LIMIT_S)
            bring_back()
            await_more(written, SOME_WRITES)
            tally.recover()
        with struck_at(FaultPoint.BATCH_SCANNED, lambda: kill(server)) as struck, rebuilding(twin) as built:
            wait_until(struck.is_set, what=f"{victim} is killed in a rebuild", limit_s=LIMIT_S)
            bring_back()
            report = built.result(LIMIT_S)
        tally.recover()
    assert twin.collections.aliases()[report.generation.alias] == report.generation.collection
    with capturing(), streaming():
        tally.settle()
    assert twin.dead_letters.count() == 0
    assert waits_said(caplog) <= WAITERS * (len(MIDST_OF_A_FLOW) + 1)


@pytest.mark.parametrize("victim", VICTIMS)
def test_a_server_is_restarted_in_good_order_in_the_middle_of_a_write(
    victim, servers, rabbitmq_url, twin, documents, capturing, streaming, tally
):
    server = servers[VICTIMS[victim]]

    def restart_in_order() -> None:
        server.stop()
        restart(server)

    with capturing(), streaming(), writing(documents, pace_s=PACE_S) as written:
        tally.in_step()
        await_registered(servers["rabbitmq"], rabbitmq_url, queues=twin.settings.rabbitmq_queues)
        for point in MIDST_OF_A_FLOW:
            with struck_at(point, restart_in_order) as struck:
                wait_until(struck.is_set, what=f"{victim} is restarted at {point.name}", limit_s=LIMIT_S)
            tally.fault()
            await_more(written, SOME_WRITES)
            tally.recover()
    with capturing(), streaming():
        tally.settle()
    assert twin.dead_letters.count() == 0


@pytest.mark.parametrize("victim", VICTIMS)
def test_a_server_is_away_for_a_minute_and_everybody_waits_and_says_so_once(
    victim, servers, rabbitmq_url, twin, documents, capturing, streaming, tally, caplog
):
    server, flows = servers[VICTIMS[victim]], Flows(victim)
    with (
        counted_points() as reached,
        capturing(report=flows.capture),
        streaming(report=flows.stream),
        writing(documents, pace_s=PACE_S) as written,
    ):
        tally.in_step()
        await_registered(servers["rabbitmq"], rabbitmq_url, queues=twin.settings.rabbitmq_queues)
        with struck_at(FaultPoint.BATCH_SCANNED, server.stop) as struck, rebuilding(twin) as built:
            wait_until(struck.is_set, what=f"{victim} is stopped in a rebuild", limit_s=LIMIT_S)
            tally.fault()
            flows.await_wait()
            acknowledged = reached[FaultPoint.ACKNOWLEDGED]
            stay_away(flows)
            assert victim != "Qdrant" or reached[FaultPoint.ACKNOWLEDGED] == acknowledged
            assert waits_said(caplog) <= WAITERS
            restart(server)
            report = built.result(LIMIT_S)
        await_more(written, SOME_WRITES)
        tally.recover()
    assert twin.collections.aliases()[report.generation.alias] == report.generation.collection
    with capturing(), streaming():
        tally.settle()
    assert twin.dead_letters.count() == 0


class Flows:
    """What capture and the stream report, and which of them have to wait for the victim."""

    def __init__(self, victim: str) -> None:
        self.capture, self.stream = Listener(), Listener()
        self._victim = victim
        # Without MongoDB an idle stream has nothing to ask, and capture never asks Qdrant.
        self._concerned = {
            "MongoDB": [self.capture],
            "RabbitMQ": [self.capture, self.stream],
            "Qdrant": [self.stream],
        }[victim]

    @property
    def are_waiting(self) -> bool:
        return all(flow.waiting_for == self._victim for flow in self._concerned)

    def await_wait(self) -> None:
        wait_until(lambda: self.are_waiting, what=f"the flows wait for {self._victim}", limit_s=LIMIT_S)


def stay_away(flows: Flows) -> None:
    """Let a minute pass; all the while the flows must wait, and say for whom."""
    end = time.monotonic() + AWAY_S

    def is_over() -> bool:
        assert flows.are_waiting, "a flow waits no more, or for another server"
        return time.monotonic() > end

    wait_until(is_over, what="the minute passes", limit_s=2 * AWAY_S)
