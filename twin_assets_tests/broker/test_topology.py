from __future__ import annotations

import asyncio

import aio_pika
import pytest
from hypothesis import given
from hypothesis import strategies as st

from twin_assets.broker.consumer import ChangeConsumer
from twin_assets.broker.depth import queue_depths
from twin_assets.broker.publisher import ChangePublisher
from twin_assets.broker.topology import DEAD_QUEUE, arguments_for, queue_index, queue_name, queue_names
from twin_assets.errors import ConfigurationError
from twin_assets_tests.broker.builders import changes, delete_queues


@given(st.text(), st.integers(1, 256))
def test_every_key_has_one_queue_within_range(key: str, queues: int) -> None:
    assert 0 <= queue_index(key, queues) < queues
    assert queue_index(key, queues) == queue_index(key, queues)


def test_the_queue_of_a_document_never_changes() -> None:
    assert [queue_index(f"posts/int:{number}", 8) for number in range(8)] == [0, 7, 7, 1, 6, 1, 5, 1]


def test_documents_spread_over_all_queues() -> None:
    assert {queue_index(each.key, 16) for each in changes(200)} == set(range(16))


@pytest.mark.parametrize(
    ("version", "limit"), [((3, 10, 8), None), ((3, 13), None), ((), None), ((4, 0, 1), -1), ((4, 3), -1)]
)
def test_only_a_broker_that_has_a_default_limit_is_told_that_there_is_none(
    version: tuple[int, ...], limit: int | None
) -> None:
    assert arguments_for(version).get("x-delivery-limit") == limit


@pytest.mark.servers
def test_declaring_twice_is_no_error_and_creates_all_queues(rabbitmq_url: str) -> None:
    for _ in range(2):
        with ChangePublisher(rabbitmq_url, queues=3) as publisher:
            assert publisher.queues_missing() == []
    assert queue_depths(rabbitmq_url, 3).missing == ()


@pytest.mark.servers
@pytest.mark.parametrize(("before", "now"), [(2, 3), (3, 2), (1, 8), (8, 1)])
def test_another_number_of_queues_is_refused_with_the_way_to_migrate(
    rabbitmq_url: str, before: int, now: int
) -> None:
    with ChangePublisher(rabbitmq_url, queues=before):
        pass
    with (
        pytest.raises(ConfigurationError, match="stop capture and stream, delete the queues"),
        ChangePublisher(rabbitmq_url, queues=now),
    ):
        pass
    assert queue_depths(rabbitmq_url, before).missing == ()


@pytest.mark.servers
def test_a_consumer_of_fewer_queues_than_exist_is_refused(rabbitmq_url: str) -> None:
    with ChangePublisher(rabbitmq_url, queues=3):
        pass
    consumer = ChangeConsumer(rabbitmq_url, queues=2, indexes=[0, 1], prefetch=5)
    with pytest.raises(ConfigurationError, match=r"twin\.changes\.2 exists"), consumer:
        pass


@pytest.mark.servers
def test_the_migration_that_the_error_names_works(rabbitmq_url: str) -> None:
    with ChangePublisher(rabbitmq_url, queues=3):
        pass
    delete_queues(rabbitmq_url, queue_names(3))
    with ChangePublisher(rabbitmq_url, queues=2) as publisher:
        assert publisher.publish(changes(5)) == 5


@pytest.mark.servers
def test_a_declaration_cut_short_is_completed(rabbitmq_url: str) -> None:
    with ChangePublisher(rabbitmq_url, queues=4):
        pass
    delete_queues(rabbitmq_url, queue_names(2))
    with ChangePublisher(rabbitmq_url, queues=4) as publisher:
        assert publisher.queues_missing() == []


@pytest.mark.servers
def test_missing_queues_are_seen_before_anything_is_declared(rabbitmq_url: str) -> None:
    with ChangePublisher(rabbitmq_url, queues=2):
        pass
    delete_queues(rabbitmq_url, [queue_name(1), DEAD_QUEUE])
    with ChangePublisher(rabbitmq_url, queues=2, declare=False) as publisher:
        assert publisher.queues_missing() == [queue_name(1), DEAD_QUEUE]
        assert publisher.queues_missing() == [queue_name(1), DEAD_QUEUE]
        assert publisher.declare_missing() == [queue_name(1), DEAD_QUEUE]
        assert publisher.queues_missing() == []


@pytest.mark.servers
def test_a_queue_of_another_kind_is_refused(rabbitmq_url: str) -> None:
    async def declare_classic() -> None:
        async with await aio_pika.connect(rabbitmq_url) as connection:
            channel = await connection.channel()
            await channel.declare_queue(queue_name(0), durable=True)

    asyncio.run(declare_classic())
    with (
        pytest.raises(ConfigurationError, match="other arguments"),
        ChangePublisher(rabbitmq_url, queues=1),
    ):
        pass
