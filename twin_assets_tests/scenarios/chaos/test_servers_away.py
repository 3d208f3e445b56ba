"""Each server goes away in the middle of a write, a capture and a rebuild, while people write on."""

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
    rebuilding,
    struck_at,
    waits_said,
)
from twin_assets_tests.scenarios.own_servers import await_registered, kill, own_servers, restart
from twin_assets_tests.scenarios.people import await_more, writing
from twin_assets_tests.waiting import wait_until

pytestmark = [pytest.mark.servers, pytest.mark.slow, pytest.mark.chaos, pytest.mark.timeout(900)]

VICTIMS = {"MongoDB": "mongodb", "RabbitMQ": "rabbitmq", "Qdrant": "qdrant"}
PACE_S = 1.0
SOME_WRITES = 2
# Capture, the stream and a rebuild: each may say once that it waits.
WAITERS = 3
MIDST_OF_A_FLOW = [FaultPoint.STAGED, FaultPoint.HEADS_WRITTEN, FaultPoint.CHANGES_PUBLISHED]


@pytest.fixture(scope="module")
def servers(
    server_binaries: dict[str, Path], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, Server]]:
    with own_servers(tmp_path_factory.mktemp("away"), vhosts=tuple(VICTIMS.values())) as found:
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


@pytest.fixture
def small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    """A scan of several batches, so that a server can go away between two."""
    monkeypatch.setattr(scan_module, "SCAN_BATCH", 4)


@pytest.mark.nightly
@pytest.mark.parametrize("victim", ["MongoDB", "Qdrant", "RabbitMQ"])
@pytest.mark.usefixtures("small_batches")
def test_a_server_is_killed_in_the_middle_of_a_write_a_capture_and_a_rebuild(
    victim, servers, twin, documents, capturing, streaming, tally, caplog
):
    server, flows, began = servers[VICTIMS[victim]], Flows(victim), time.time()

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
        await_registered(servers["rabbitmq"], since=began)
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
