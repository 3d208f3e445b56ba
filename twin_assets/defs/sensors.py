"""The sensors that keep the long runs alive: each reads the runs of a job, decides and acts."""

import time
from collections.abc import Callable
from functools import partial

from dagster import (
    DagsterInstance,
    DefaultSensorStatus,
    RunRequest,
    SensorEvaluationContext,
    SensorResult,
    SkipReason,
    sensor,
)

from twin_assets.defs.auto_repair import repair_differences
from twin_assets.defs.autoscale import desired_replicas
from twin_assets.defs.jobs import CAPTURE_OP, STREAM_OP, capture_changes, stream_features
from twin_assets.defs.names import CAPTURE_SHARE, REPLICAS_TAG, SHARE_TAG, stream_share
from twin_assets.defs.resources import TwinResource
from twin_assets.defs.runs import ask_to_end, give_up, last_error, read_beating_runs, read_runs
from twin_assets.defs.upkeep import Upkeep, find_silent
from twin_assets.errors import ConfigurationError
from twin_assets.settings import Settings

TICK_S = 5
BATCH_TICK_S = 30


def keep_alive(
    instance: DagsterInstance,
    job_name: str,
    upkeep: Upkeep,
    request: Callable[[str], RunRequest],
    *,
    cursor: str | None = None,
    note: str = "",
    clock: Callable[[], float] = time.time,
) -> SensorResult:
    """Give up the dead runs of a job, end the surplus ones and request the missing ones.

    `cursor` is for the next tick, `note` is shown beside what the runs do.
    """
    runs = read_runs(instance, job_name, shares=len(upkeep.shares))
    decision = upkeep.decide(runs, now_s=clock(), error_of=partial(last_error, instance))
    for finding in decision.dead:
        give_up(instance, finding)
    for finding in decision.surplus:
        ask_to_end(instance, finding)
    if decision.missing:
        return SensorResult(run_requests=[request(share) for share in decision.missing], cursor=cursor)
    surplus = [f"ending run {finding.run.run_id[:8]}: {finding.reason}" for finding in decision.surplus]
    said = [*([note] if note else []), *decision.notes, *surplus]
    return SensorResult(skip_reason=SkipReason("; ".join(said)), cursor=cursor)


@sensor(
    name="keep_capturing",
    job=capture_changes,
    minimum_interval_seconds=TICK_S,
    default_status=DefaultSensorStatus.RUNNING,
    description="Keeps one capture run alive; a run that stops beating is given up and replaced.",
)
def keep_capturing(context: SensorEvaluationContext, twin: TwinResource) -> SensorResult | SkipReason:
    try:
        settings = _settings_with_servers(twin)
    except ConfigurationError as error:
        return SkipReason(str(error))
    upkeep = Upkeep(shares=[CAPTURE_SHARE], limit_s=settings.heartbeat_limit_s)
    return keep_alive(context.instance, capture_changes.name, upkeep, capture_request)


@sensor(
    name="keep_streaming",
    job=stream_features,
    minimum_interval_seconds=TICK_S,
    default_status=DefaultSensorStatus.RUNNING,
    description="Keeps TWIN_STREAM_REPLICAS stream runs alive, one per share of the queues; up to "
    "TWIN_STREAM_REPLICAS_MAX while messages pile up.",
)
def keep_streaming(context: SensorEvaluationContext, twin: TwinResource) -> SensorResult | SkipReason:
    try:
        settings = _settings_with_servers(twin)
    except ConfigurationError as error:
        return SkipReason(str(error))
    desired = desired_replicas(settings, context.cursor, now_s=time.time())
    replicas = desired.replicas
    upkeep = Upkeep(
        shares=[stream_share(replica) for replica in range(replicas)],
        limit_s=settings.heartbeat_limit_s,
        replicas=str(replicas),
    )
    request = partial(stream_request, replicas=replicas)
    return keep_alive(
        context.instance,
        stream_features.name,
        upkeep,
        request,
        cursor=desired.cursor,
        note=desired.note,
    )


@sensor(
    name="give_up_dead_runs",
    minimum_interval_seconds=BATCH_TICK_S,
    default_status=DefaultSensorStatus.RUNNING,
    description="Marks rebuilds and checks whose process was killed as failed: the next ones may start.",
)
def give_up_dead_runs(context: SensorEvaluationContext, twin: TwinResource) -> SkipReason:
    try:
        limit_s = twin.settings().heartbeat_limit_s
    except ConfigurationError as error:
        return SkipReason(str(error))
    return bury_dead_runs(context.instance, limit_s=limit_s)


def bury_dead_runs(
    instance: DagsterInstance, *, limit_s: float, clock: Callable[[], float] = time.time
) -> SkipReason:
    """Give up every run that has begun to beat and is silent now; leave all others alone."""
    dead = find_silent(read_beating_runs(instance), limit_s=limit_s, now_s=clock())
    for finding in dead:
        give_up(instance, finding)
    given_up = [f"gave up run {finding.run.run_id[:8]}: {finding.reason}" for finding in dead]
    return SkipReason("; ".join(given_up) or "every run at work beats")


def capture_request(share: str) -> RunRequest:
    """Ask for the capture run."""
    return RunRequest(run_config={"ops": {CAPTURE_OP: {}}}, tags={SHARE_TAG: share})


def stream_request(share: str, *, replicas: int) -> RunRequest:
    """Ask for the stream run of a share. Without a run_key: a share is asked for again and again."""
    replica = int(share.rpartition("-")[2])
    config = {"ops": {STREAM_OP: {"config": {"replica": replica, "replicas": replicas}}}}
    return RunRequest(run_config=config, tags={SHARE_TAG: share, REPLICAS_TAG: str(replicas)})


def _settings_with_servers(twin: TwinResource) -> Settings:
    """Read the settings. Raises ConfigurationError where they are wrong, or a server's URL is not known."""
    settings = twin.settings()
    settings.require_url("mongodb_url")
    settings.require_url("rabbitmq_url")
    settings.require_url("qdrant_url")
    return settings


all_sensors = [keep_capturing, keep_streaming, give_up_dead_runs, repair_differences]
