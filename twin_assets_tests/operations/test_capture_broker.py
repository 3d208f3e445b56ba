"""Capture between a real MongoDB and a real RabbitMQ."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import aio_pika
import pytest
from pymongo.database import Database

from twin_assets.broker.consumer import ChangeConsumer
from twin_assets.broker.publisher import ChangePublisher
from twin_assets.broker.topology import queue_index, queue_name
from twin_assets.models.change import Change, Marker
from twin_assets.source.client import Document
from twin_assets_tests.operations.capturing import Capturing, MemoryTwin
from twin_assets_tests.operations.test_capture import QUEUES, client, database, twin
from twin_assets_tests.source.builders import post
from twin_assets_tests.waiting import wait_until

pytestmark = pytest.mark.servers
__all__ = ["client", "database", "twin"]


@pytest.fixture
def queued(twin: MemoryTwin, rabbitmq_url: str) -> Iterator[MemoryTwin]:
    with ChangePublisher(rabbitmq_url, queues=QUEUES, declare=False) as publisher:
        twin.publisher = publisher
        yield twin


class Seen:
    """Takes in and acknowledges what the queues hold."""

    def __init__(self, consumer: ChangeConsumer) -> None:
        self._consumer = consumer
        self.by_queue: dict[int, list[Change | Marker]] = {index: [] for index in range(QUEUES)}

    def take(self) -> set[str]:
        for index, messages in self.by_queue.items():
            deliveries = self._consumer.poll(index, 1000)
            messages.extend(each.message for each in deliveries if isinstance(each.message, Change | Marker))
            self._consumer.acknowledge(deliveries)
        changes = (message for messages in self.by_queue.values() for message in messages)
        return {message.key for message in changes if isinstance(message, Change)}


def test_changes_reach_their_queues_and_each_marker_stands_behind_them(
    queued: MemoryTwin, rabbitmq_url: str, database: Database[Document]
) -> None:
    wanted = {f"posts/int:{number}" for number in range(40)}
    database.posts.insert_many([post(number) for number in range(20)])
    with (
        Capturing(queued) as capturing,
        ChangeConsumer(rabbitmq_url, queues=QUEUES, indexes=range(QUEUES), prefetch=100) as consumer,
    ):
        capturing.until_ready()
        database.posts.insert_many([post(number) for number in range(20, 40)])
        seen = Seen(consumer)
        wait_until(lambda: seen.take() == wanted, what="all changes in the queues")
    for index, messages in seen.by_queue.items():
        position = 0
        for message in messages:
            if isinstance(message, Marker):
                position = message.position
            else:
                assert queue_index(message.key, QUEUES) == index
                assert message.revision > position
        assert position


def test_a_queue_that_vanishes_while_running_is_declared_and_filled_again(
    queued: MemoryTwin, rabbitmq_url: str, database: Database[Document]
) -> None:
    database.posts.insert_one(post(1))
    with Capturing(queued) as capturing:
        capturing.until_ready()
        asyncio.run(delete_queue(rabbitmq_url, queue_name(queue_index("posts/int:1", QUEUES))))
        wait_until(lambda: capturing.progress.recovered, what="recovered")
        assert queued.publisher.queues_missing() == []
        with ChangeConsumer(rabbitmq_url, queues=QUEUES, indexes=range(QUEUES), prefetch=100) as consumer:
            seen = Seen(consumer)
            wait_until(lambda: "posts/int:1" in seen.take(), what="the change is there again")


async def delete_queue(url: str, name: str) -> None:
    connection = await aio_pika.connect(url)
    async with connection:
        channel = await connection.channel()
        await channel.queue_delete(name)
