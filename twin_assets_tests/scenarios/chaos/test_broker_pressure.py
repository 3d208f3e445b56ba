"""RabbitMQ that takes no messages, or takes those in hand away: capture and stream wait and go on."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from twin_assets.faults import FaultPoint
from twin_assets.stack.binaries import find_rabbitmq
from twin_assets.stack.process import Launch
from twin_assets.stack.rabbitmq import NODE, RabbitServer
from twin_assets_tests.scenarios.chaos.held import held_at
from twin_assets_tests.scenarios.chaos.outage import LIMIT_S, Listener, counted_points, waits_said
from twin_assets_tests.scenarios.documents import article, post, words
from twin_assets_tests.scenarios.own_servers import own_broker, served
from twin_assets_tests.waiting import wait_until

pytestmark = [pytest.mark.servers, pytest.mark.slow, pytest.mark.chaos]

CONSUMER_TIMEOUT_MS = 2_000
CHANNEL_TICK_MS = 500
SOME_TRIES = 4
TAKEN_AWAY = "Timeout value used: "


class ImpatientBroker(RabbitServer):
    """Closes the channel of whoever holds a message for two seconds; the default is half an hour."""

    def launch(self) -> Launch:
        launch = super().launch()
        config = Path(launch.environment["RABBITMQ_CONFIG_FILE"])
        lines = [line for line in config.read_text().splitlines() if "consumer_timeout" not in line]
        config.write_text("\n".join([*lines, f"consumer_timeout = {CONSUMER_TIMEOUT_MS}", ""]))
        name = "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS"
        arguments = f"{launch.environment.get(name, '')} -rabbit channel_tick_interval {CHANNEL_TICK_MS}"
        return replace(launch, environment={**launch.environment, name: arguments.strip()})

    def control(self, *arguments: str) -> None:
        """Run `rabbitmqctl`."""
        command = [str(find_rabbitmq().with_name("rabbitmqctl")), "--node", NODE, *arguments]
        subprocess.run(command, env=dict(self.launch().environment), check=True, capture_output=True)


@pytest.fixture(scope="module")
def broker(
    server_binaries: dict[str, Path], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ImpatientBroker]:
    state = tmp_path_factory.mktemp("pressure")
    epmd, found = own_broker(state, vhosts=["blocked", "impatient"], kind=ImpatientBroker)
    with served(epmd, found):
        yield found


@pytest.fixture
def rabbitmq_url(broker: ImpatientBroker, request: pytest.FixtureRequest) -> str:
    return broker.url_of("blocked" if "blocks" in request.node.name else "impatient")


@pytest.mark.usefixtures("short_confirms")
def test_a_broker_that_blocks_its_publishers_is_waited_for_and_nothing_is_lost(
    twin, broker, documents, capturing, streaming, tally, caplog
):
    capture = Listener()
    with capturing(report=capture), streaming():
        documents.posts.insert_one(post(1, words(20)))
        tally.in_step()
        capture.hear_anew(caplog)
        broker.control("set_vm_memory_high_watermark", "absolute", "1MB")
        try:
            tally.fault()
            documents.posts.insert_many([post(number, words(10)) for number in range(2, 30)])
            documents.posts.replace_one({"_id": 1}, post(1, words(5)))
            capture.await_wait("RabbitMQ", times=SOME_TRIES)
            assert capture.waiting_for == "RabbitMQ"
            assert waits_said(caplog) == 1
        finally:
            broker.control("set_vm_memory_high_watermark", "0.4")
        documents.articles.insert_one(article(1, words(10)))
        tally.settle()
        assert capture.waiting_for == ""
    assert twin.dead_letters.count() == 0


def test_a_message_that_the_broker_takes_away_in_mid_write_comes_again(
    twin, broker, documents, capturing, streaming, tally
):
    with capturing(), streaming():
        documents.posts.insert_many([post(number, words(20, prefix=f"p{number}x")) for number in range(8)])
        tally.in_step()
        before = taken_away(broker)
        with held_at(FaultPoint.VERIFIED) as held, counted_points() as reached:
            documents.posts.replace_one({"_id": 1}, post(1, words(30, prefix="new")))
            documents.posts.delete_one({"_id": 2})
            held.await_reached()
            wait_until(lambda: taken_away(broker) > before, what="the broker loses patience", limit_s=LIMIT_S)
            tally.fault()
            documents.posts.replace_one({"_id": 1}, post(1, words(3, prefix="newest")))
            held.release()
            wait_until(lambda: reached[FaultPoint.READ] > 0, what="what was taken comes", limit_s=LIMIT_S)
            tally.settle()
    assert twin.dead_letters.count() == 0


def taken_away(broker: ImpatientBroker) -> int:
    """Count the channels that the broker has closed because of a message held too long."""
    return broker.process.log_file.read_text(errors="replace").count(TAKEN_AWAY)
