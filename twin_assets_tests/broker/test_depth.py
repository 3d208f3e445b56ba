from __future__ import annotations

import pytest

from twin_assets.broker.consumer import ChangeConsumer
from twin_assets.broker.depth import QueueDepths, queue_depths
from twin_assets.broker.publisher import ChangePublisher
from twin_assets.broker.topology import DEAD_QUEUE, queue_name
from twin_assets_tests.broker.builders import await_until, letter, marker

pytestmark = pytest.mark.servers


def test_a_virgin_broker_has_no_queues_and_gets_none(rabbitmq_url: str) -> None:
    names = (queue_name(0), queue_name(1), DEAD_QUEUE)
    empty = QueueDepths(ready=(0, 0), total=0, dead=0, consumers=(0, 0), missing=names)
    assert queue_depths(rabbitmq_url, 2) == empty
    assert queue_depths(rabbitmq_url, 2) == empty


def test_depths_count_messages_letters_and_consumers(rabbitmq_url: str) -> None:
    with ChangePublisher(rabbitmq_url, queues=2) as publisher:
        publisher.publish_marker(marker(1))
        publisher.publish_dead([letter(1)])
        expected = QueueDepths(ready=(1, 1), total=2, dead=1, consumers=(0, 0), missing=())
        await_until(lambda: queue_depths(rabbitmq_url, 2) == expected)
        with ChangeConsumer(rabbitmq_url, queues=2, indexes=[1], prefetch=1) as consumer:
            await_until(lambda: consumer.connected)
            await_until(lambda: queue_depths(rabbitmq_url, 2).consumers == (0, 1))
            await_until(lambda: queue_depths(rabbitmq_url, 2).ready == (1, 0))
