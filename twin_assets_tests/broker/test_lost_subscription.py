"""Subscriptions that are lost without a word: queues deleted and made anew at once, and silent ones."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from itertools import count

import pytest
from yarl import URL

from twin_assets.broker import link_keeper
from twin_assets.broker.consumer import ChangeConsumer
from twin_assets.broker.link_keeper import LinkKeeper
from twin_assets.broker.publisher import ChangePublisher
from twin_assets.broker.queue_link import QueueLink
from twin_assets.broker.topology import QueueState, queue_names
from twin_assets.models.change import Marker
from twin_assets_tests.broker.builders import await_until, delete_queues, marker

QUEUES = 8
TURNS = 12
MARKER_S = 0.3


def arrives(consumer: ChangeConsumer, publisher: ChangePublisher, position: int) -> Callable[[], bool]:
    """Send a marker every now and then, as capture does; tell whether each queue has delivered one."""
    missing, due = set(range(QUEUES)), [0.0]

    def is_there() -> bool:
        if time.monotonic() > due[0]:
            publisher.publish_marker(marker(position))
            due[0] = time.monotonic() + MARKER_S
        for queue in range(QUEUES):
            deliveries = consumer.poll(queue, 100)
            consumer.acknowledge(deliveries)
            markers = [each.message for each in deliveries if isinstance(each.message, Marker)]
            if any(each.position == position for each in markers):
                missing.discard(queue)
        return not missing

    return is_there


@pytest.mark.servers
@pytest.mark.slow
def test_queues_that_are_deleted_and_made_anew_at_once_deliver_again(
    rabbitmq_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Some of these turns lose a subscription, or the connection while its channels are being closed."""
    monkeypatch.setattr(link_keeper, "LOOK_PAUSE_S", 0.5)
    monkeypatch.setattr(link_keeper, "SILENCE_S", 2.0)
    with (
        ChangePublisher(rabbitmq_url, queues=QUEUES) as publisher,
        ChangeConsumer(rabbitmq_url, queues=QUEUES, indexes=range(QUEUES), prefetch=64) as consumer,
    ):
        for turn in range(1, TURNS + 1):
            await_until(lambda: consumer.connected)
            delete_queues(rabbitmq_url, queue_names(QUEUES))
            publisher.declare_missing()
            await_until(arrives(consumer, publisher, turn))


@pytest.mark.servers
def test_a_queue_that_alone_is_silent_is_subscribed_again(
    rabbitmq_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(link_keeper, "LOOK_PAUSE_S", 0.1)
    monkeypatch.setattr(link_keeper, "SILENCE_S", 2.0)
    with (
        ChangePublisher(rabbitmq_url, queues=2) as publisher,
        ChangeConsumer(rabbitmq_url, queues=2, indexes=range(2), prefetch=4) as consumer,
    ):
        await_until(lambda: consumer.connected)
        busy, silent = consumer._links[0], consumer._links[1]
        first, epochs = silent.epoch, {busy.epoch}

        def is_subscribed_again() -> bool:
            publisher._send([(busy.queue, b"noise")])
            consumer.acknowledge(consumer.poll(0, 100))
            epochs.add(busy.epoch)
            return silent.epoch > first

        await_until(is_subscribed_again)
        assert len(epochs) == 1


def test_a_queue_without_a_consumer_is_given_up_at_the_second_look(monkeypatch: pytest.MonkeyPatch) -> None:
    """The broker counts none as well where the queue's leader is just too busy to say."""
    given_up: list[int] = []
    before_each_look: list[list[int]] = []

    class Subscribed(QueueLink):
        is_waiting = False

        def give_up(self, epoch: int) -> None:
            given_up.append(epoch)

    link = Subscribed(0, prefetch=1, epochs=count(1), on_message=lambda: None)
    link.is_subscribed, link.epoch = True, 7
    looks = iter([1, 0, 1, 0, 0])

    async def find(connection: object, names: list[str]) -> dict[str, QueueState]:
        before_each_look.append(list(given_up))
        consumers = next(looks, None)
        if consumers is None:
            raise EOFError("enough looks")
        return {name: QueueState(ready=0, consumers=consumers) for name in names}

    async def look() -> None:
        keeper = LinkKeeper(URL("amqp://nowhere"), queues=1, links=[link], on_attempt=lambda _: None)
        await keeper._look_for_the_lost(object())  # type: ignore[arg-type]

    monkeypatch.setattr(link_keeper, "LOOK_PAUSE_S", 0.0)
    monkeypatch.setattr(link_keeper, "find_queues", find)
    with pytest.raises(EOFError):
        asyncio.run(look())
    assert before_each_look == [[], [], [], [], [], [7]]


def test_a_task_that_swallows_a_cancellation_is_cancelled_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(link_keeper, "CANCEL_AGAIN_S", 0.01)
    swallowed: list[int] = []

    async def stubborn() -> None:
        while True:
            try:
                await asyncio.sleep(3600)
            except asyncio.CancelledError:
                swallowed.append(1)
                if len(swallowed) == 3:
                    raise

    async def end() -> None:
        task = asyncio.ensure_future(stubborn())
        await asyncio.sleep(0)
        await link_keeper._end([task])
        assert task.cancelled()

    asyncio.run(end())
    assert len(swallowed) == 3
