from __future__ import annotations

import threading
import time
from datetime import timedelta

import pytest

from twin_assets.broker.codec import encode_change
from twin_assets.broker.consumer import ChangeConsumer
from twin_assets.broker.depth import queue_depths
from twin_assets.broker.publisher import ChangePublisher
from twin_assets.broker.topology import queue_name
from twin_assets.errors import ConfigurationError, MalformedMessage
from twin_assets_tests.broker.builders import (
    CuttingProxy,
    await_thread_end,
    await_until,
    change,
    changes,
    delete_queues,
    marker,
    positions,
    put_raw,
    receive,
)

pytestmark = pytest.mark.servers
PREFETCH = 4


def fill(url: str, count: int) -> None:
    with ChangePublisher(url, queues=1) as publisher:
        publisher.publish(changes(count))


def consumer_of(url: str, *, prefetch: int = PREFETCH) -> ChangeConsumer:
    return ChangeConsumer(url, queues=1, indexes=[0], prefetch=prefetch)


def total(url: str) -> int:
    return queue_depths(url, 1).total


def has_left(url: str) -> bool:
    return queue_depths(url, 1).consumers == (0,)


def test_a_queue_is_delivered_in_order_and_what_is_acknowledged_is_gone(rabbitmq_url: str) -> None:
    fill(rabbitmq_url, 30)
    with consumer_of(rabbitmq_url) as consumer:
        got = []
        while len(got) < 30:
            assert consumer.wait(20)
            batch = consumer.poll(0, 3)
            got += batch
            consumer.acknowledge(batch)
        assert positions(got) == list(range(30))
        assert {(each.queue, each.attempts) for each in got} == {(0, 0)}
    await_until(lambda: has_left(rabbitmq_url))
    # The count follows a moment behind the acknowledgements that it has taken.
    await_until(lambda: total(rabbitmq_url) == 0)


def test_no_more_than_prefetch_is_handed_over_until_it_is_acknowledged(rabbitmq_url: str) -> None:
    fill(rabbitmq_url, 10)
    with consumer_of(rabbitmq_url) as consumer:
        held = receive(consumer, 0, PREFETCH)
        assert consumer.flush(10)  # a round trip: what was on its way is here
        assert consumer.poll(0, 100) == []
        await_until(lambda: total(rabbitmq_url) == 10 - PREFETCH)
        consumer.acknowledge(held[:1])
        assert positions(receive(consumer, 0, 1)) == [PREFETCH]


def test_acknowledging_in_any_order_removes_just_those(rabbitmq_url: str) -> None:
    fill(rabbitmq_url, 9)
    with consumer_of(rabbitmq_url, prefetch=9) as consumer:
        held = receive(consumer, 0, 9)
        for picked in ([8], [2, 1], [4, 0], [0, 4]):
            consumer.acknowledge([held[position] for position in picked])
        assert consumer.flush(10)
        assert consumer.connected
    with consumer_of(rabbitmq_url, prefetch=9) as successor:
        again = receive(successor, 0, 4)
        assert positions(again) == [3, 5, 6, 7]
        assert [each.attempts for each in again] == [1] * 4


def test_many_threads_may_acknowledge(rabbitmq_url: str) -> None:
    fill(rabbitmq_url, 60)
    with consumer_of(rabbitmq_url, prefetch=60) as consumer:
        held = receive(consumer, 0, 60)
        threads = [
            threading.Thread(
                target=lambda own: [consumer.acknowledge([each]) for each in own], args=(held[i::3],)
            )
            for i in range(3)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(10)
        assert consumer.flush(10)
        assert consumer.connected
    await_until(lambda: has_left(rabbitmq_url))
    # The count follows a moment behind the acknowledgements that it has taken.
    await_until(lambda: total(rabbitmq_url) == 0)


def test_acknowledgements_leave_before_an_orderly_close(rabbitmq_url: str) -> None:
    fill(rabbitmq_url, 5)
    with consumer_of(rabbitmq_url) as consumer:
        consumer.acknowledge(receive(consumer, 0, 3))
    with consumer_of(rabbitmq_url) as successor:
        assert positions(receive(successor, 0, 2)) == [3, 4]


def test_what_comes_before_the_word_that_the_subscription_stands_is_acknowledged_too(
    rabbitmq_url: str,
) -> None:
    fill(rabbitmq_url, 3)
    with consumer_of(rabbitmq_url) as consumer:
        held = receive(consumer, 0, 3)
        await_until(lambda: consumer.connected)
        consumer._links[0].is_subscribed = False
        consumer.acknowledge(held)
        assert consumer.flush(10)
        consumer._links[0].is_subscribed = True
    await_until(lambda: has_left(rabbitmq_url))
    await_until(lambda: total(rabbitmq_url) == 0)


def test_a_lost_connection_redelivers_in_order_and_counts_attempts(rabbitmq_url: str) -> None:
    fill(rabbitmq_url, 6)
    with CuttingProxy(rabbitmq_url) as proxy, consumer_of(proxy.url) as consumer:
        for attempt in range(4):
            held = receive(consumer, 0, PREFETCH)
            assert positions(held) == [0, 1, 2, 3]
            assert [each.attempts for each in held] == [attempt] * PREFETCH
            proxy.cut()
            await_until(lambda: not consumer.connected)


def test_stale_acknowledgements_are_harmless_and_remove_nothing(rabbitmq_url: str) -> None:
    fill(rabbitmq_url, 3)
    with CuttingProxy(rabbitmq_url) as proxy, consumer_of(proxy.url) as consumer:
        stale = receive(consumer, 0, 3)
        proxy.cut()
        fresh = receive(consumer, 0, 3)
        assert {each.epoch for each in fresh}.isdisjoint(each.epoch for each in stale)
        consumer.acknowledge(stale)
        assert consumer.flush(10)
        assert consumer.connected
        consumer.acknowledge(fresh[:1])
        assert consumer.flush(10)
    with consumer_of(rabbitmq_url) as successor:
        assert positions(receive(successor, 0, 2)) == [1, 2]


def test_messages_received_through_a_lost_connection_are_not_handed_out(rabbitmq_url: str) -> None:
    fill(rabbitmq_url, 3)
    with CuttingProxy(rabbitmq_url) as proxy, consumer_of(proxy.url) as consumer:
        await_until(lambda: consumer.connected and consumer.wait(0))
        proxy.is_refusing = True
        proxy.cut()
        await_until(lambda: not consumer.connected)
        assert consumer.poll(0, 10) == []
        assert not consumer.flush(1)
        await_until(lambda: "cannot be reached" in consumer.last_error)
        assert "guest:" not in consumer.last_error
        proxy.is_refusing = False
        assert positions(receive(consumer, 0, 3)) == [0, 1, 2]
        # Messages may come before the broker's word that the subscription stands.
        await_until(lambda: consumer.last_error == "")


def test_a_consumer_that_opens_before_the_broker_gets_its_messages_later(rabbitmq_url: str) -> None:
    fill(rabbitmq_url, 1)
    with CuttingProxy(rabbitmq_url) as proxy:
        proxy.is_refusing = True
        with consumer_of(proxy.url) as consumer:
            assert not consumer.connected
            assert consumer.last_error
            proxy.is_refusing = False
            assert positions(receive(consumer, 0, 1)) == [0]


def test_queues_that_do_not_exist_yet_are_waited_for_and_not_created(rabbitmq_url: str) -> None:
    with consumer_of(rabbitmq_url) as consumer:
        await_until(lambda: queue_name(0) in consumer.last_error)
        assert queue_name(0) in queue_depths(rabbitmq_url, 1).missing
        fill(rabbitmq_url, 2)
        assert positions(receive(consumer, 0, 2)) == [0, 1]


def test_a_queue_that_is_deleted_and_made_anew_is_consumed_again(rabbitmq_url: str) -> None:
    with ChangePublisher(rabbitmq_url, queues=2) as publisher:
        indexes = range(2)
        with ChangeConsumer(rabbitmq_url, queues=2, indexes=indexes, prefetch=PREFETCH) as consumer:
            await_until(lambda: consumer.connected)
            delete_queues(rabbitmq_url, [queue_name(1)])
            await_until(lambda: not consumer.connected)
            publisher.declare_missing()
            publisher.publish_marker(marker(5))
            assert [positions(receive(consumer, index, 1)) for index in indexes] == [[5], [5]]


def test_a_second_consumer_waits_and_takes_over_in_order(rabbitmq_url: str) -> None:
    fill(rabbitmq_url, 10)
    with consumer_of(rabbitmq_url) as first:
        held = receive(first, 0, PREFETCH)
        with consumer_of(rabbitmq_url) as second:
            await_until(lambda: second.connected)
            assert second.flush(10)
            assert second.poll(0, 10) == []
            first.acknowledge(held[:2])
            first.close()
            assert positions(receive(second, 0, PREFETCH)) == [2, 3, 4, 5]


def test_messages_that_cannot_be_decoded_are_delivered_as_such_among_their_neighbours(
    rabbitmq_url: str,
) -> None:
    with ChangePublisher(rabbitmq_url, queues=1):
        pass
    put_raw(rabbitmq_url, queue_name(0), encode_change(change(1)), b"junk", b"", encode_change(change(2)))
    with consumer_of(rabbitmq_url) as consumer:
        got = receive(consumer, 0, 4)
    assert [type(each.message) for each in got[1:3]] == [MalformedMessage] * 2
    assert got[1].body == b"junk"
    assert positions(got) == [1, 2]


def test_wait_ends_on_a_delivery_on_waking_and_on_its_limit(rabbitmq_url: str) -> None:
    with ChangePublisher(rabbitmq_url, queues=1) as publisher, consumer_of(rabbitmq_url) as consumer:
        assert not consumer.wait(0.01)
        threading.Timer(0.05, consumer.wake).start()
        assert not consumer.wait(20)
        consumer.wake()
        assert not consumer.wait(20)
        publisher.publish([change(1)])
        assert consumer.wait(20)
        assert consumer.poll(0, 1)
        assert not consumer.wait(0.01)


def test_heartbeats_go_on_while_the_main_thread_is_busy(rabbitmq_url: str) -> None:
    fill(rabbitmq_url, 2)
    with consumer_of(f"{rabbitmq_url}?heartbeat=1") as consumer:
        held = receive(consumer, 0, 2)
        until = time.monotonic() + timedelta(seconds=4).total_seconds()
        while time.monotonic() < until:
            sum(range(10_000))
        consumer.acknowledge(held)
        assert consumer.flush(10)
        assert consumer.poll(0, 10) == []
    await_until(lambda: has_left(rabbitmq_url))
    # The count follows a moment behind the acknowledgements that it has taken.
    await_until(lambda: total(rabbitmq_url) == 0)


def test_a_refused_login_is_raised_on_opening(rabbitmq_url: str) -> None:
    consumer = consumer_of(rabbitmq_url.replace("guest:guest", "guest:wrong"))
    with pytest.raises(ConfigurationError, match="refuses the login"), consumer:
        pass
    await_thread_end("twin consumer")


def test_a_closed_consumer_ignores_acknowledgements(rabbitmq_url: str) -> None:
    fill(rabbitmq_url, 1)
    with consumer_of(rabbitmq_url) as consumer:
        held = receive(consumer, 0, 1)
    consumer.close()
    consumer.acknowledge(held)
    assert not consumer.flush(1)
    await_thread_end("twin consumer")


def test_leaving_a_broker_that_does_not_answer_is_bounded(rabbitmq_url: str) -> None:
    fill(rabbitmq_url, 1)
    with CuttingProxy(rabbitmq_url) as proxy, consumer_of(proxy.url) as consumer:
        held = receive(consumer, 0, 1)
        proxy.is_mute = True
        consumer.acknowledge(held)
        started = time.monotonic()
        consumer.close()
        assert time.monotonic() - started < 15
    await_thread_end("twin consumer")


def test_a_silent_broker_is_given_up_by_its_missing_heartbeats(rabbitmq_url: str) -> None:
    fill(rabbitmq_url, 1)
    with CuttingProxy(f"{rabbitmq_url}?heartbeat=1") as proxy, consumer_of(proxy.url) as consumer:
        receive(consumer, 0, 1)
        proxy.is_mute = True
        await_until(lambda: not consumer.connected)
        proxy.is_mute = False
        proxy.cut()
        assert positions(receive(consumer, 0, 1)) == [0]
