"""The schedule that asks every hour whether Qdrant still says the same as MongoDB."""

from dagster import DefaultScheduleStatus, ScheduleDefinition

from twin_assets.defs.jobs import VERIFY_OP, verify_features

verify_hourly = ScheduleDefinition(
    name="verify_hourly",
    job=verify_features,
    cron_schedule="7 * * * *",
    # In full it would take the longer the more there is; a person and CI get that by default.
    run_config={"ops": {VERIFY_OP: {"config": {"since_last": True}}}},
    default_status=DefaultScheduleStatus.RUNNING,
    description="Evaluates every check every hour, on what changed since and on a slice of the rest.",
)

all_schedules = [verify_hourly]
