"""The number of replicas follows what waits, slowly enough that every change is worth its pause."""

from __future__ import annotations

from itertools import pairwise
from types import SimpleNamespace

import pytest
from dagster import DagsterInstance, build_sensor_context

from twin_assets.broker.publisher import ChangePublisher
from twin_assets.defs import autoscale, sensors
from twin_assets.defs.autoscale import (
    BUSY_PER_REPLICA,
    BUSY_S,
    PAUSE_S,
    QUIET_S,
    Desired,
    Scale,
    desired_replicas,
)
from twin_assets.defs.names import REPLICAS_TAG, SHARE_TAG
from twin_assets.errors import ConfigurationError
from twin_assets_tests.broker.builders import change
from twin_assets_tests.defs.flows import quick_settings
from twin_assets_tests.defs.test_sensors import SERVERS, SetTwin

TICK_S = 5
MUCH = 10 * BUSY_PER_REPLICA


def history(*waiting: int, start: Scale | None = None, least: int = 1, most: int = 4) -> list[int]:
    """Return the number of replicas after each tick, from a moment at which nothing was changed lately."""
    scale, numbers = start or Scale(replicas=least), []
    for tick, each in enumerate(waiting):
        scale = scale.after(each, now_s=1e6 + tick * TICK_S, least=least, most=most)
        numbers.append(scale.replicas)
    return numbers


def changes_of(numbers: list[int]) -> list[tuple[int, int]]:
    """Return the ticks at which the number changed, and to what."""
    return [(tick, now) for tick, (before, now) in enumerate(pairwise(numbers), 1) if now != before]


def test_a_burst_that_is_over_soon_changes_nothing() -> None:
    few = int(BUSY_S / TICK_S)
    assert set(history(*[MUCH] * few, 0, *[MUCH] * few)) == {1}


def test_what_lasts_doubles_the_replicas_up_to_the_most_with_a_pause_after_each() -> None:
    found = changes_of(history(*[MUCH] * 200))
    assert [number for _, number in found] == [2, 4]
    assert found[0][0] * TICK_S == BUSY_S
    assert (found[1][0] - found[0][0]) * TICK_S >= PAUSE_S


def test_what_two_can_bear_does_not_make_four() -> None:
    assert history(*[BUSY_PER_REPLICA + 1] * 200)[-1] == 2


def test_quiet_halves_them_down_to_the_least() -> None:
    found = changes_of(history(*[0] * 1000, start=Scale(replicas=8), least=1, most=8))
    assert [number for _, number in found] == [4, 2, 1]
    assert found[0][0] * TICK_S == QUIET_S
    assert history(*[0] * 1000, start=Scale(replicas=3), least=2, most=8)[-1] == 2


def test_a_trickle_between_quiet_and_busy_keeps_what_there_is() -> None:
    assert set(history(*[50] * 1000, start=Scale(replicas=2))) == {2}


def test_by_default_the_number_is_the_setting() -> None:
    settings = quick_settings(stream_replicas=3)
    assert desired_replicas(settings, "whatever", now_s=0) == Desired(3)


@pytest.mark.parametrize(
    ("cursor", "replicas"),
    [(None, 2), ("", 2), ("{", 2), ('{"replicas": 4}', 4), ('{"replicas": 64}', 6), ('{"replicas": 1}', 2)],
)
def test_a_broker_that_is_away_changes_nothing(cursor: str | None, replicas: int) -> None:
    settings = quick_settings(stream_replicas=2, stream_replicas_max=6, rabbitmq_url="amqp://127.0.0.1:1")
    found = desired_replicas(settings, cursor, now_s=1e6)
    assert found.replicas == replicas
    assert Scale.model_validate_json(found.cursor or "").replicas == replicas
    assert "RabbitMQ at amqp://127.0.0.1:1" in found.note


def test_a_refused_login_leaves_the_runs_to_their_sensor(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise ConfigurationError("RabbitMQ refuses the login")

    monkeypatch.setattr("twin_assets.broker.depth.queue_depths", refuse)
    settings = quick_settings(stream_replicas_max=4, rabbitmq_url="amqp://127.0.0.1:1")
    busy = Scale(replicas=2, busy_since_s=1.0).model_dump_json()
    found = desired_replicas(settings, busy, now_s=1e6)
    assert (found.replicas, "refuses the login" in found.note) == (2, True)
    assert Scale.model_validate_json(found.cursor or "").busy_since_s is None


def test_there_are_never_more_replicas_than_queues() -> None:
    settings = quick_settings(
        stream_replicas=1, stream_replicas_max=64, rabbitmq_queues=2, rabbitmq_url="amqp://127.0.0.1:1"
    )
    assert desired_replicas(settings, '{"replicas": 64}', now_s=1e6).replicas == 2


@pytest.mark.servers
def test_what_waits_in_a_real_broker_brings_runs_of_another_share_out(
    rabbitmq_url: str, instance: DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    with ChangePublisher(rabbitmq_url, queues=8) as publisher:
        publisher.publish(change(number) for number in range(2 * BUSY_PER_REPLICA))
    servers = SERVERS | {"rabbitmq_url": rabbitmq_url}
    twin = SetTwin(values={"stream_replicas_max": 4, "rabbitmq_queues": 8, **servers})
    cursor, requests = None, []
    for tick in range(8):
        monkeypatch.setattr(sensors, "time", SimpleNamespace(time=lambda tick=tick: 1e6 + tick * TICK_S))
        context = build_sensor_context(instance=instance, cursor=cursor)
        result = sensors.keep_streaming(context, twin=twin)
        cursor, requests = result.cursor, result.run_requests
    assert [request.tags[SHARE_TAG] for request in requests] == ["stream-0", "stream-1"]
    assert {request.tags[REPLICAS_TAG] for request in requests} == {"2"}
    configs = [request.run_config["ops"]["stream"]["config"] for request in requests]
    assert configs == [{"replica": 0, "replicas": 2}, {"replica": 1, "replicas": 2}]
    found = autoscale.desired_replicas(twin.settings(), cursor, now_s=1e6 + 60)
    assert f"2 of 1 to 4 replicas, {2 * BUSY_PER_REPLICA} messages wait" in found.note
