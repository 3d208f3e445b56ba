"""What happens by the clock: an hourly look whether Qdrant says what MongoDB says, and a nightly tidying."""

from dagster import DefaultScheduleStatus, ScheduleDefinition

from twin_assets.defs.jobs import VERIFY_OP, verify_features
from twin_assets.defs.pruning import prune_runs

verify_hourly = ScheduleDefinition(
    name="verify_hourly",
    job=verify_features,
    cron_schedule="7 * * * *",
    # In full it would take the longer the more there is; a person and CI get that by default.
    run_config={"ops": {VERIFY_OP: {"config": {"since_last": True}}}},
    default_status=DefaultScheduleStatus.RUNNING,
    description="Evaluates every check every hour, on what changed since and on a slice of the rest.",
)

prune_daily = ScheduleDefinition(
    name="prune_daily",
    job=prune_runs,
    cron_schedule="37 3 * * *",
    default_status=DefaultScheduleStatus.RUNNING,
    description="Deletes old runs every night; TWIN_RUN_RETENTION_DAYS says how old.",
)

all_schedules = [verify_hourly, prune_daily]
