from __future__ import annotations

import shutil
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy
from dagster._config import process_config
from dagster._core.instance.config import dagster_instance_config
from dagster._core.instance.ref import InstanceRef
from dagster_docker import DockerRunLauncher
from dagster_postgres import DagsterPostgresStorage
from dagster_postgres.utils import pg_url_from_config
from docker.models.containers import _create_container_args

from twin_assets.defs.supervision import STOP_GRACE_S
from twin_assets_tests.deploy.files import ROOT, interpolate, read_yaml

COMPOSE = read_yaml("docker-compose.yaml")
INSTANCE = read_yaml("deploy/compose/dagster.yaml")
LAUNCHER = INSTANCE["run_launcher"]["config"]
SAME_EVERYWHERE = ("concurrency", "run_retries", "run_monitoring", "sensors", "retention", "telemetry", "nux")


@pytest.fixture
def containers_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    shutil.copy(ROOT / "deploy/compose/dagster.yaml", tmp_path)
    for name, value in _daemon_environment().items():
        monkeypatch.setenv(name, value)
    return tmp_path


def _daemon_environment() -> dict[str, Any]:
    variables = {
        "POSTGRES_PASSWORD": "p/w",
        "MONGO_PASSWORD": "m",
        "RABBITMQ_PASSWORD": "r",
        "QDRANT_API_KEY": "q",
    }
    environment: dict[str, Any] = interpolate(COMPOSE["services"]["daemon"]["environment"], variables)
    return environment


def test_dagster_accepts_both_files(containers_home: Path) -> None:
    dagster_instance_config(str(ROOT))
    dagster_instance_config(str(containers_home))


@pytest.mark.parametrize("section", SAME_EVERYWHERE)
def test_both_instances_follow_the_same_rules(section: str) -> None:
    assert INSTANCE[section] == read_yaml("dagster.yaml")[section]


def test_one_run_per_share() -> None:
    [limit] = INSTANCE["concurrency"]["runs"]["tag_concurrency_limits"]
    assert limit == {"key": "twin/share", "value": {"applyLimitPerUniqueValue": True}, "limit": 1}


def test_the_storage_is_postgres_by_a_driver_that_is_installed(containers_home: Path) -> None:
    config = process_config(DagsterPostgresStorage.config_type(), INSTANCE["storage"]["postgres"])
    assert config.success
    url = pg_url_from_config(config.value)
    engine = sqlalchemy.create_engine(url)
    assert engine.url.host == "postgres"
    assert engine.url.password == "p/w"


def test_runs_become_containers_that_docker_would_accept(containers_home: Path) -> None:
    launcher = InstanceRef.from_dir(str(containers_home)).run_launcher
    assert isinstance(launcher, DockerRunLauncher)
    kwargs = dict(launcher.container_kwargs)
    kwargs.pop("stop_timeout")
    body = _create_container_args(kwargs | {"version": "1.47", "image": "twin-assets:local"})
    host = body["host_config"]
    assert host["ReadonlyRootfs"] is True
    assert host["AutoRemove"] is True
    assert host["Init"] is True
    assert body["healthcheck"] == {"test": ["NONE"]}


def test_a_run_has_more_time_to_stop_than_its_supervisor_gives_the_flow() -> None:
    assert LAUNCHER["container_kwargs"]["stop_timeout"] > STOP_GRACE_S


def test_runs_get_every_variable_that_the_daemon_has() -> None:
    given = set(LAUNCHER["env_vars"])
    assert given == COMPOSE["services"]["daemon"]["environment"].keys()
    # Not a setting of ours: a collector's login is OpenTelemetry's own.
    assert {"OTEL_EXPORTER_OTLP_HEADERS"} == {name for name in given if name.startswith("OTEL_")}


def test_runs_join_the_network_and_the_volume_that_compose_makes() -> None:
    assert LAUNCHER["network"] == COMPOSE["networks"]["twin"]["name"]
    [volume] = LAUNCHER["container_kwargs"]["volumes"]
    name, folder = volume.split(":")
    assert name == COMPOSE["volumes"]["dagster-logs"]["name"]
    assert INSTANCE["compute_logs"]["config"]["base_dir"] == folder


def test_the_image_of_the_runs_is_that_of_the_code_location() -> None:
    code = COMPOSE["services"]["code"]
    assert code["environment"]["DAGSTER_CURRENT_IMAGE"] == code["image"]


def test_the_local_workspace_names_a_module_that_exists() -> None:
    [location] = read_yaml("workspace.yaml")["load_from"]
    assert find_spec(location["python_module"])
