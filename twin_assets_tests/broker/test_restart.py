from __future__ import annotations

import socket
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from twin_assets.broker.consumer import ChangeConsumer
from twin_assets.broker.dead_letters import DeadLetters
from twin_assets.broker.publisher import ChangePublisher
from twin_assets.errors import BrokerUnavailable, StackError
from twin_assets.stack.binaries import find_rabbitmq
from twin_assets.stack.ports import LOOPBACK
from twin_assets.stack.rabbitmq import NODE, EpmdServer, RabbitServer
from twin_assets_tests.broker.builders import await_until, changes, letter, positions, receive
from twin_assets_tests.free_ports import free_port
from twin_assets_tests.scenarios.own_servers import await_registered

pytestmark = [pytest.mark.servers, pytest.mark.slow]
RESTART_S = 60.0


@dataclass(frozen=True)
class OwnBroker:
    server: RabbitServer

    def kill(self) -> None:
        process = self.server.process.find()
        assert process is not None
        process.kill()
        process.wait(10)

    def restart(self) -> None:
        self.server.start()
        self.server.await_ready()

    def control(self, *arguments: str) -> None:
        command = [str(find_rabbitmq().with_name("rabbitmqctl")), "--node", NODE, *arguments]
        subprocess.run(command, env=dict(self.server.launch().environment), check=True, capture_output=True)


@pytest.fixture(scope="module")
def own_broker(
    server_binaries: dict[str, object], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[OwnBroker]:
    state = tmp_path_factory.mktemp("own")
    epmd = EpmdServer(state, port=free_port())
    server = RabbitServer(state, port=free_port(), dist_port=free_port(), epmd_port=epmd.port)
    try:
        for each in (epmd, server):
            each.start()
            each.await_ready()
        yield OwnBroker(server)
    finally:
        server.stop()
        epmd.stop()


def test_all_recover_from_a_killed_broker_and_nothing_confirmed_is_lost(own_broker: OwnBroker) -> None:
    url = own_broker.server.url
    with ExitStack() as stack:
        publisher = stack.enter_context(ChangePublisher(url, queues=2))
        consumer = stack.enter_context(ChangeConsumer(url, queues=2, indexes=[0, 1], prefetch=5))
        letters = stack.enter_context(DeadLetters(url))
        publisher.publish_dead([letter(1)])
        assert publisher.publish(changes(40)) == 40
        held = [receive(consumer, index, 5) for index in (0, 1)]
        await_registered(own_broker.server, url, queues=2)
        own_broker.kill()
        await_until(lambda: not consumer.connected)
        with pytest.raises(BrokerUnavailable):
            publisher.publish(changes(1))
        own_broker.restart()
        await_until(lambda: consumer.connected, timeout_s=RESTART_S)
        again = [receive(consumer, index, 5) for index in (0, 1)]
        assert [positions(each) for each in again] == [positions(each) for each in held]
        consumer.acknowledge([*held[0], *held[1]])
        got = {*positions(again[0]), *positions(again[1])}
        consumer.acknowledge([*again[0], *again[1]])
        while len(got) < 40:
            assert consumer.wait(20)
            for index in (0, 1):
                batch = consumer.poll(index, 100)
                got |= {*positions(batch)}
                consumer.acknowledge(batch)
        assert publisher.publish(changes(3)) == 3
        assert [stored.letter for stored in letters.peek()] == [letter(1)]


def test_a_broker_out_of_memory_blocks_publishing_with_a_limit_and_a_reason(own_broker: OwnBroker) -> None:
    with ChangePublisher(own_broker.server.url, queues=2, confirm_timeout_s=3) as publisher:
        own_broker.control("set_vm_memory_high_watermark", "absolute", "1MB")
        try:
            with pytest.raises(BrokerUnavailable, match="memory or disk alarm"):
                publisher.publish(changes(10))
        finally:
            own_broker.control("set_vm_memory_high_watermark", "0.4")

        def is_published_again() -> bool:
            try:
                return publisher.publish(changes(1)) == 1
            except BrokerUnavailable:
                return False

        await_until(is_published_again)


def test_port_that_is_taken_while_the_broker_starts_is_named(
    server_binaries: dict[str, object], tmp_path: Path
) -> None:
    epmd = EpmdServer(tmp_path, port=free_port())
    server = RabbitServer(tmp_path, port=free_port(), dist_port=free_port(), epmd_port=epmd.port)
    try:
        epmd.start()
        epmd.await_ready()
        server.start()
        with (
            socket.create_server((LOOPBACK, server.port)),
            pytest.raises(
                StackError, match=f"port {server.port} for rabbitmq is in use by .+ choose another"
            ),
        ):
            server.await_ready()
        assert "could_not_start_listener" in server.log_hint()
    finally:
        server.stop()
        epmd.stop()
