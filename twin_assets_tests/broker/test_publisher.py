from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from twin_assets.broker.consumer import ChangeConsumer
from twin_assets.broker.depth import queue_depths
from twin_assets.broker.publisher import ChangePublisher
from twin_assets.broker.topology import DEAD_QUEUE, queue_index, queue_name, queue_names
from twin_assets.errors import BrokerUnavailable, QueuesMissing
from twin_assets.models.change import Change
from twin_assets_tests.broker.builders import (
    CuttingProxy,
    await_thread_end,
    await_until,
    change,
    changes,
    delete_queues,
    letter,
    marker,
    positions,
    receive,
)

pytestmark = pytest.mark.servers
QUEUES = 3


def test_published_means_confirmed_in_the_document_s_queue_and_in_order(rabbitmq_url: str) -> None:
    published = changes(40)
    with ChangePublisher(rabbitmq_url, queues=QUEUES, window=7) as publisher:
        assert publisher.publish(iter(published)) == 40
        with ChangeConsumer(rabbitmq_url, queues=QUEUES, indexes=range(QUEUES), prefetch=50) as consumer:
            for index in range(QUEUES):
                expected = [each.revision for each in published if queue_index(each.key, QUEUES) == index]
                assert positions(receive(consumer, index, len(expected))) == expected


def test_publishing_nothing_is_no_error(rabbitmq_url: str) -> None:
    with ChangePublisher(rabbitmq_url, queues=1) as publisher:
        assert publisher.publish([]) == 0
        publisher.publish_dead([])


def test_a_marker_goes_to_every_queue_behind_what_came_before(rabbitmq_url: str) -> None:
    with ChangePublisher(rabbitmq_url, queues=QUEUES) as publisher:
        publisher.publish(changes(12))
        publisher.publish_marker(marker(99))
        await_until(lambda: queue_depths(rabbitmq_url, QUEUES).total == 12 + QUEUES)
        counts = [sum(queue_index(each.key, QUEUES) == i for each in changes(12)) + 1 for i in range(QUEUES)]
        with ChangeConsumer(rabbitmq_url, queues=QUEUES, indexes=range(QUEUES), prefetch=50) as consumer:
            assert [positions(receive(consumer, i, counts[i]))[-1] for i in range(QUEUES)] == [99] * QUEUES


def test_dead_letters_are_published_in_windows(rabbitmq_url: str) -> None:
    with ChangePublisher(rabbitmq_url, queues=1, window=2) as publisher:
        publisher.publish_dead([letter(number) for number in range(5)])
    assert queue_depths(rabbitmq_url, 1).dead == 5


def test_a_missing_queue_is_named_and_nothing_counts_as_published(rabbitmq_url: str) -> None:
    with ChangePublisher(rabbitmq_url, queues=QUEUES) as publisher:
        delete_queues(rabbitmq_url, [queue_name(1), DEAD_QUEUE])
        with pytest.raises(QueuesMissing, match=r"no queue twin\.changes\.1;") as caught:
            publisher.publish(changes(30))
        assert caught.value.names == (queue_name(1),)
        with pytest.raises(QueuesMissing):
            publisher.publish_marker(marker(1))
        assert publisher.declare_missing() == [queue_name(1), DEAD_QUEUE]
        assert publisher.publish(changes(30)) == 30


def test_a_letter_makes_its_queue_anew_and_no_other(rabbitmq_url: str) -> None:
    with ChangePublisher(rabbitmq_url, queues=QUEUES) as publisher:
        delete_queues(rabbitmq_url, [queue_name(1), DEAD_QUEUE])
    with ChangePublisher(rabbitmq_url, queues=QUEUES, declare=False) as publisher:
        publisher.publish_dead([letter(1)])
        assert publisher.queues_missing() == [queue_name(1)]
    await_until(lambda: queue_depths(rabbitmq_url, QUEUES).dead == 1)


def test_a_publisher_that_does_not_declare_leaves_missing_queues_missing(rabbitmq_url: str) -> None:
    with (
        ChangePublisher(rabbitmq_url, queues=QUEUES, declare=False) as publisher,
        pytest.raises(QueuesMissing),
    ):
        publisher.publish([change(1)])
    assert queue_depths(rabbitmq_url, QUEUES).missing == (*queue_names(QUEUES), DEAD_QUEUE)


def test_a_lost_connection_is_unavailable_once_and_then_made_anew(rabbitmq_url: str) -> None:
    with CuttingProxy(rabbitmq_url) as proxy, ChangePublisher(proxy.url, queues=1) as publisher:
        assert publisher.publish(changes(3)) == 3
        proxy.is_refusing = True
        proxy.cut()
        with pytest.raises(BrokerUnavailable) as caught:
            publisher.publish(changes(3))
        assert "guest" not in str(caught.value)
        proxy.is_refusing = False
        assert publisher.publish(changes(3)) == 3
    await_until(lambda: queue_depths(rabbitmq_url, 1).total == 6)


def test_a_connection_lost_between_the_windows_of_a_call_is_unavailable_or_made_anew(
    rabbitmq_url: str,
) -> None:
    with CuttingProxy(rabbitmq_url) as proxy, ChangePublisher(proxy.url, queues=1, window=1) as publisher:

        def cut_midway() -> Iterator[Change]:
            for number in range(10):
                if number == 5:
                    proxy.cut()
                yield change(number)

        try:
            publisher.publish(cut_midway())
        except BrokerUnavailable:
            publisher.publish(changes(10))
    await_until(lambda: queue_depths(rabbitmq_url, 1).total >= 10)


def test_publishing_without_an_answer_is_bounded(rabbitmq_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with (
        CuttingProxy(rabbitmq_url) as proxy,
        ChangePublisher(proxy.url, queues=1) as publisher,
    ):
        publisher.publish([change(1)])
        proxy.is_mute = True
        with monkeypatch.context() as short:
            short.setattr(publisher, "_confirm_timeout_s", 0.3)
            with pytest.raises(BrokerUnavailable, match=r"no confirm within 0\.3 s by twin\.changes\.0;"):
                publisher.publish([change(2)])
        proxy.is_mute = False
        assert publisher.publish([change(2)]) == 1


def test_several_threads_publish_at_once(rabbitmq_url: str) -> None:
    with ChangePublisher(rabbitmq_url, queues=QUEUES, window=5) as publisher:
        counts: list[int] = []
        threads = [
            threading.Thread(target=lambda: counts.append(publisher.publish(changes(23)))) for _ in range(4)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(20)
        assert counts == [23] * 4
        await_until(lambda: queue_depths(rabbitmq_url, QUEUES).total == 92)


def test_a_closed_publisher_says_so(rabbitmq_url: str) -> None:
    with ChangePublisher(rabbitmq_url, queues=1) as publisher:
        pass
    publisher.close()
    with pytest.raises(BrokerUnavailable, match="not open"):
        publisher.publish([change(1)])


def test_a_broker_that_is_down_is_unavailable_on_opening() -> None:
    with pytest.raises(BrokerUnavailable), ChangePublisher("amqp://127.0.0.1:1/", queues=1):
        pass
    await_thread_end("twin publisher")
