"""The code location that Dagster loads: assets, checks, jobs, sensors and the schedule."""

from dagster import Definitions, in_process_executor

from twin_assets.defs.assets import collection_assets, source_specs
from twin_assets.defs.checks import all_checks
from twin_assets.defs.jobs import (
    capture_changes,
    rebuild_all,
    rebuild_by_type,
    stream_features,
    verify_features,
)
from twin_assets.defs.pruning import prune_runs
from twin_assets.defs.repairing import repair_features
from twin_assets.defs.resources import TwinResource
from twin_assets.defs.schedules import all_schedules
from twin_assets.defs.sensors import all_sensors
from twin_assets.settings import load_settings

defs = Definitions(
    assets=[*source_specs(), *collection_assets(load_settings())],
    asset_checks=all_checks,
    jobs=[
        capture_changes,
        stream_features,
        verify_features,
        repair_features,
        rebuild_all,
        *rebuild_by_type,
        prune_runs,
    ],
    sensors=all_sensors,
    schedules=all_schedules,
    resources={"twin": TwinResource()},
    # The encoder is the wall: steps side by side would only load the model twice.
    executor=in_process_executor,
)
