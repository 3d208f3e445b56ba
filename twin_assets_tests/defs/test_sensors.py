from __future__ import annotations

from typing import Any

import pytest
from dagster import (
    DagsterEvent,
    DagsterEventType,
    DagsterInstance,
    DagsterRun,
    DagsterRunStatus,
    SensorResult,
    SkipReason,
    build_sensor_context,
    job,
    op,
    validate_run_config,
)

from twin_assets.defs.beating import beating
from twin_assets.defs.jobs import capture_changes, stream_features
from twin_assets.defs.names import END_TAG, HEARTBEAT_TAG, PROGRESS_TAG, REPLICAS_TAG, SHARE_TAG
from twin_assets.defs.resources import TwinResource
from twin_assets.defs.sensors import (
    bury_dead_runs,
    capture_request,
    keep_alive,
    keep_capturing,
    keep_streaming,
    stream_request,
)
from twin_assets.defs.upkeep import Upkeep
from twin_assets.errors import ConfigurationError, SourceUnavailable
from twin_assets.settings import Settings
from twin_assets_tests.defs.flows import quick_settings
from twin_assets_tests.waiting import wait_until

CAPTURE = Upkeep(shares=["capture"], limit_s=30)
SERVERS = {
    "mongodb_url": "mongodb://127.0.0.1:1",
    "rabbitmq_url": "amqp://127.0.0.1:1",
    "qdrant_url": "http://127.0.0.1:1",
}


@op
def capture() -> None:
    # As adapters raise it: what the driver said is its cause.
    raise SourceUnavailable("mongodb://127.0.0.1:27017", "connection refused") from OSError("errno 111")


@job(name="capture_changes")
def fake_capture() -> None:
    capture()


EVENTS = {
    DagsterRunStatus.STARTING: DagsterEventType.RUN_STARTING,
    DagsterRunStatus.STARTED: DagsterEventType.RUN_START,
    DagsterRunStatus.CANCELING: DagsterEventType.RUN_CANCELING,
}


def a_run(instance: DagsterInstance, *statuses: DagsterRunStatus) -> DagsterRun:
    """Store a run that went through these statuses, as a worker that is gone leaves it behind."""
    run = instance.create_run_for_job(fake_capture, tags={SHARE_TAG: "capture"})
    for status in statuses:
        event = DagsterEvent(event_type_value=EVENTS[status].value, job_name=run.job_name, message="")
        instance.report_dagster_event(event, run_id=run.run_id)
    return run


def status_of(instance: DagsterInstance, run: DagsterRun) -> DagsterRunStatus:
    found = instance.get_run_by_id(run.run_id)
    assert found is not None
    return found.status


def now_of(instance: DagsterInstance) -> float:
    records = instance.get_run_records()
    return max((record.update_timestamp.timestamp() for record in records), default=0.0)


def tick(
    instance: DagsterInstance,
    *,
    later_s: float = 0.0,
    since_s: float | None = None,
    upkeep: Upkeep = CAPTURE,
) -> SensorResult:
    now_s = (now_of(instance) if since_s is None else since_s) + later_s
    return keep_alive(instance, "capture_changes", upkeep, capture_request, clock=lambda: now_s)


def test_the_first_tick_asks_for_a_run_of_the_share(instance):
    (request,) = tick(instance).run_requests
    assert request.tags[SHARE_TAG] == "capture"
    assert request.run_key is None


def test_a_killed_worker_is_given_up_and_replaced_in_one_tick(instance):
    killed = a_run(instance, DagsterRunStatus.STARTED)
    beat_s = now_of(instance)
    instance.add_run_tags(killed.run_id, {HEARTBEAT_TAG: str(beat_s)})
    assert tick(instance, since_s=beat_s, later_s=29).run_requests == []
    assert len(tick(instance, since_s=beat_s, later_s=31).run_requests) == 1
    assert status_of(instance, killed) is DagsterRunStatus.FAILURE


def test_a_run_that_was_killed_while_it_was_canceled_ends_canceled(instance):
    killed = a_run(instance, DagsterRunStatus.STARTED, DagsterRunStatus.CANCELING)
    tick(instance, later_s=31)
    assert status_of(instance, killed) is DagsterRunStatus.CANCELED


def test_a_run_whose_launch_was_lost_is_failed(instance):
    lost = a_run(instance, DagsterRunStatus.STARTING)
    assert tick(instance, later_s=60).run_requests == []
    tick(instance, later_s=91)
    assert status_of(instance, lost) is DagsterRunStatus.FAILURE


def test_a_healthy_run_is_described(instance):
    run = a_run(instance, DagsterRunStatus.STARTED)
    tags = {HEARTBEAT_TAG: str(now_of(instance)), PROGRESS_TAG: "12 changes published, 0 s behind"}
    instance.add_run_tags(run.run_id, tags)
    message = tick(instance).skip_reason.skip_message
    assert run.run_id[:8] in message
    assert "12 changes published, 0 s behind" in message


def test_a_pause_names_the_error_of_the_last_failure(instance):
    for _ in range(4):
        fake_capture.execute_in_process(instance=instance, raise_on_error=False, tags={SHARE_TAG: "capture"})
    message = tick(instance, later_s=1).skip_reason.skip_message
    assert "waiting" in message
    assert "4 fast failures" in message
    assert "MongoDB at mongodb://127.0.0.1:27017 cannot be reached (connection refused)" in message
    assert len(tick(instance, later_s=41).run_requests) == 1


def test_a_surplus_run_finds_word_that_it_may_end(instance):
    a_run(instance, DagsterRunStatus.STARTED)
    second = a_run(instance, DagsterRunStatus.STARTED)
    tick(instance)
    found = instance.get_run_by_id(second.run_id)
    assert found is not None
    assert "capture is held by run" in found.tags[END_TAG]


class SetTwin(TwinResource):
    """The settings of a test instead of the environment's."""

    values: dict[str, Any]

    def settings(self) -> Settings:
        return quick_settings(**self.values)


class MisconfiguredTwin(TwinResource):
    def settings(self) -> Settings:
        raise ConfigurationError("TWIN_PROFILE: Input should be 'small' or 'full'")


@pytest.mark.parametrize("sensor", [keep_capturing, keep_streaming])
def test_unknown_servers_are_a_reason_to_wait(instance, sensor, tmp_path):
    twin = SetTwin(values={"state_dir": str(tmp_path)})
    result = sensor(build_sensor_context(instance=instance), twin=twin)
    assert isinstance(result, SkipReason)
    assert "TWIN_MONGODB_URL is not set" in (result.skip_message or "")


@pytest.mark.parametrize("sensor", [keep_capturing, keep_streaming])
def test_a_wrong_setting_is_a_reason_to_wait(instance, sensor):
    result = sensor(build_sensor_context(instance=instance), twin=MisconfiguredTwin())
    assert result.skip_message == "TWIN_PROFILE: Input should be 'small' or 'full'"


def test_every_replica_gets_a_run_of_its_own(instance):
    twin = SetTwin(values={"stream_replicas": 3, **SERVERS})
    requests = keep_streaming(build_sensor_context(instance=instance), twin=twin).run_requests
    assert [request.tags[SHARE_TAG] for request in requests] == ["stream-0", "stream-1", "stream-2"]
    assert {request.tags[REPLICAS_TAG] for request in requests} == {"3"}
    assert [request.run_config["ops"]["stream"]["config"]["replica"] for request in requests] == [0, 1, 2]


def test_the_run_config_of_a_request_fits_the_job():
    assert validate_run_config(stream_features, stream_request("stream-2", replicas=3).run_config)
    assert validate_run_config(capture_changes, capture_request("capture").run_config)


def test_silent_rebuilds_are_given_up_and_others_left_alone(instance):
    silent = a_run(instance, DagsterRunStatus.STARTED)
    instance.add_run_tags(silent.run_id, {HEARTBEAT_TAG: str(now_of(instance))})
    never_beat = a_run(instance, DagsterRunStatus.STARTED)
    now_s = now_of(instance) + 31
    reason = bury_dead_runs(instance, limit_s=30, clock=lambda: now_s)
    assert f"gave up run {silent.run_id[:8]}" in (reason.skip_message or "")
    assert status_of(instance, silent) is DagsterRunStatus.FAILURE
    assert status_of(instance, never_beat) is DagsterRunStatus.STARTED


def test_a_step_beats_while_it_works_and_withdraws_the_beat_after(instance):
    run = a_run(instance, DagsterRunStatus.STARTED)
    with beating(instance, run.run_id, quick_settings()) as stop:
        # Dagster rewrites a run's tags with its status, so a beat at that very moment may get lost.
        beat = wait_until(lambda: instance.get_run_by_id(run.run_id).tags.get(HEARTBEAT_TAG), what="a beat")
        assert float(beat) > 0
        instance.report_run_failed(run)
        assert stop.wait(10)
    assert instance.get_run_by_id(run.run_id).tags[HEARTBEAT_TAG] == ""
