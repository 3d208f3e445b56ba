"""The schedule that asks every hour whether Qdrant still says the same as MongoDB."""

from dagster import DefaultScheduleStatus, ScheduleDefinition

from twin_assets.defs.jobs import verify_features

verify_hourly = ScheduleDefinition(
    name="verify_hourly",
    job=verify_features,
    cron_schedule="7 * * * *",
    default_status=DefaultScheduleStatus.RUNNING,
    description="Evaluates every check at seven minutes past the hour.",
)

all_schedules = [verify_hourly]
