from __future__ import annotations

import subprocess
import sys

import pytest
from dagster import (
    AssetKey,
    DefaultScheduleStatus,
    DefaultSensorStatus,
    build_schedule_context,
    validate_run_config,
)

from twin_assets.definitions import defs
from twin_assets.models.kinds import DataType

COLLECTIONS = {f"qdrant/{kind}_{data_type}" for kind in ("cleaned", "vector") for data_type in DataType}


def graph():
    return defs.resolve_asset_graph()


def node(key: str):
    return graph().get(AssetKey.from_user_string(key))


def test_the_code_location_loads_neither_models_nor_clients():
    heavy = (
        "torch sentence_transformers transformers InstructorEmbedding qdrant_client pymongo bytewax aio_pika"
    )
    script = (
        "import sys, twin_assets.definitions\n"
        f"print(*[name for name in {heavy.split()!r} if name in sys.modules])"
    )
    loaded = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert loaded.stdout.split() == []


def test_six_collections_can_be_materialized():
    assert {key.to_user_string() for key in graph().materializable_asset_keys} == COLLECTIONS


def test_documents_and_changes_are_shown_but_made_elsewhere():
    external = {key.to_user_string() for key in graph().external_asset_keys}
    assert external == {"rabbitmq/changes", *(f"mongodb/{data_type}" for data_type in DataType)}


@pytest.mark.parametrize("data_type", DataType)
def test_lineage_goes_from_documents_over_cleaned_text_to_vectors(data_type: DataType):
    parents = {key.to_user_string() for key in node(f"qdrant/cleaned_{data_type}").parent_keys}
    assert parents == {f"mongodb/{data_type}", "rabbitmq/changes"}
    parents = {key.to_user_string() for key in node(f"qdrant/vector_{data_type}").parent_keys}
    assert parents == {f"qdrant/cleaned_{data_type}"}


def test_every_collection_has_all_six_checks_and_none_is_blocking():
    for collection in COLLECTIONS:
        keys = graph().get_check_keys_for_assets({AssetKey.from_user_string(collection)})
        specs = [graph().get_check_spec(key) for key in keys]
        assert {spec.name for spec in specs} == {
            "matches_source",
            "is_complete",
            "has_current_recipe",
            "is_caught_up",
            "vectors_are_sound",
            "has_no_dead_letters",
        }
        assert not any(spec.blocking for spec in specs)
        assert all(spec.description for spec in specs)


def test_every_asset_says_what_it_is_for_and_belongs_to_its_type():
    for key in graph().get_all_asset_keys():
        assert len(node(key.to_user_string()).description or "") > 40
    assert node("qdrant/vector_posts").group_name == "posts"
    assert node("rabbitmq/changes").group_name == node("mongodb/posts").group_name == "sources"


def test_a_collection_has_its_recipe_as_code_version_and_a_pool_of_its_own():
    versions = {key: node(key).code_version for key in COLLECTIONS}
    assert versions["qdrant/cleaned_posts"] != versions["qdrant/vector_posts"]
    assert all(len(version or "") == 12 for version in versions.values())
    assert {pool for key in COLLECTIONS for pool in node(key).pools} == {
        key.removeprefix("qdrant/") for key in COLLECTIONS
    }


def test_sensors_and_schedules_work_without_anybody_switching_them_on():
    assert {sensor.name for sensor in defs.sensors} >= {"keep_capturing", "keep_streaming"}
    assert all(sensor.default_status is DefaultSensorStatus.RUNNING for sensor in defs.sensors)
    assert [schedule.name for schedule in defs.schedules] == ["verify_hourly", "prune_daily"]
    assert {schedule.default_status for schedule in defs.schedules} == {DefaultScheduleStatus.RUNNING}


def test_the_hourly_verification_looks_at_what_changed_and_all_others_look_at_everything():
    schedule, job = defs.resolve_schedule_def("verify_hourly"), defs.resolve_job_def("verify_features")
    config = schedule.evaluate_tick(build_schedule_context()).run_requests[0].run_config
    assert config["ops"]["verify"]["config"] == {"since_last": True}
    validate_run_config(job, config)
    assert validate_run_config(job)["ops"]["verify"]["config"] == {"since_last": False}
