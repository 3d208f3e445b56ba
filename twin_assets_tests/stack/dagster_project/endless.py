"""A code location with one run that lasts until it is ended, and the sensor that keeps it alive."""

import time

import dagster as dg

ACTIVE = [
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
]


@dg.op
def wait_for_ever() -> None:
    while True:
        time.sleep(0.05)


@dg.job(executor_def=dg.in_process_executor)
def endless() -> None:
    wait_for_ever()


@dg.sensor(job=endless, minimum_interval_seconds=1, default_status=dg.DefaultSensorStatus.RUNNING)
def keep_endless(context: dg.SensorEvaluationContext):
    if not context.instance.get_runs(dg.RunsFilter(statuses=ACTIVE)):
        yield dg.RunRequest()


defs = dg.Definitions(jobs=[endless], sensors=[keep_endless])
