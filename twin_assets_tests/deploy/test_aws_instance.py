"""Dagster's instance on AWS, by Dagster's and the launcher's own schemas; nothing is asked of AWS."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy
from dagster._config import process_config
from dagster._core.instance.config import dagster_instance_config
from dagster._core.storage.dagster_run import DagsterRun
from dagster_aws.ecs import EcsRunLauncher
from dagster_aws.ecs import launcher as launcher_module
from dagster_aws.ecs.container_context import EcsContainerContext
from dagster_postgres import DagsterPostgresStorage
from dagster_postgres.utils import pg_url_from_config

from twin_assets_tests.deploy.files import ROOT, read_yaml

HOME = ROOT / "deploy/aws/dagster"
PROGRAM = ROOT / "deploy/aws/infrastructure"
INSTANCE = read_yaml("deploy/aws/dagster/dagster.yaml")
COMPOSE = read_yaml("deploy/compose/dagster.yaml")
SAME = (
    "run_coordinator",
    "concurrency",
    "run_retries",
    "run_monitoring",
    "sensors",
    "retention",
    "telemetry",
    "nux",
)
STORAGE = {"HOST": "db.example.org", "DB": "dagster", "USER": "dagster", "PASSWORD": "p/w"}


@pytest.fixture(autouse=True)
def tasks_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in STORAGE.items():
        monkeypatch.setenv(f"DAGSTER_POSTGRES_{name}", value)


def test_dagster_accepts_the_file() -> None:
    dagster_instance_config(str(HOME))


@pytest.mark.parametrize("section", SAME)
def test_it_follows_the_rules_of_the_other_instances(section: str) -> None:
    assert INSTANCE[section] == COMPOSE[section]


def test_runs_are_tasks_of_the_definition_that_pulumi_makes() -> None:
    launcher = INSTANCE["run_launcher"]
    assert (launcher["module"], launcher["class"]) == (
        EcsRunLauncher.__module__.rsplit(".", 1)[0],
        "EcsRunLauncher",
    )
    config = process_config(EcsRunLauncher.config_type(), launcher["config"])
    assert config.success, config.errors
    assert config.value["task_definition"] == {"env": "TWIN_RUN_TASK_DEFINITION"}
    assert config.value["secrets_tag"] is None, "it would ask for the account's secrets"
    program = (PROGRAM / "dagster.py").read_text()
    assert '"TWIN_RUN_TASK_DEFINITION": run_definition.arn' in program
    assert 'Task("run",' in re.sub(r"\(\s+", "(", program), "the container's name"


def test_a_run_overrides_one_container_of_that_definition_and_leaves_the_rest(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("TWIN_RUN_TASK_DEFINITION", "twin-run:7")
    monkeypatch.setattr(launcher_module, "boto3", FakeBoto())
    config = process_config(EcsRunLauncher.config_type(), INSTANCE["run_launcher"]["config"]).value
    # Else it asks the metadata of the task that it is in.
    launcher = EcsRunLauncher(**config | {"use_current_ecs_task_config": False})
    assert launcher.container_name == "run"
    context = EcsContainerContext(task_definition_arn=launcher.task_definition)
    run = DagsterRun(job_name="capture_changes")
    # No definition is made of what it asked for, so certificates and what waits for them stay in it.
    assert launcher._run_task_kwargs(run, "image", context) == {"taskDefinition": FakeBoto.definition}


class FakeBoto:
    """AWS, where the definition of runs has a container that writes certificates before."""

    definition = "arn:task-definition/twin-run:7"

    def client(self, name: str, **_: Any) -> FakeBoto:
        return self

    def resource(self, name: str) -> None:
        return None

    def describe_task_definition(self, taskDefinition: str) -> dict[str, Any]:  # noqa: N803 - boto3's name
        assert taskDefinition == "twin-run:7"
        containers = [{"name": "run"}, {"name": "certificates"}]
        return {
            "taskDefinition": {
                "taskDefinitionArn": self.definition, "containerDefinitions": containers
            }
        }  # fmt: skip


def test_postgres_is_reached_by_tls_alone() -> None:
    config = process_config(DagsterPostgresStorage.config_type(), INSTANCE["storage"]["postgres"])
    assert config.success, config.errors
    url = sqlalchemy.make_url(pg_url_from_config(config.value))
    assert (url.host, url.password, url.query["sslmode"]) == ("db.example.org", "p/w", "require")


def test_the_workspace_names_the_code_location_as_the_network_does() -> None:
    [server] = read_yaml("deploy/aws/dagster/workspace.yaml")["load_from"]
    host, port = server["grpc_server"]["host"], server["grpc_server"]["port"]
    name, namespace = host.split(".", 1)
    assert f'NAMESPACE = "{namespace}"' in (PROGRAM / "tasks.py").read_text()
    assert f'place.register("{name}")' in (PROGRAM / "dagster.py").read_text()
    assert f"CODE_PORT = {port}\n" in (PROGRAM / "network.py").read_text()


def test_the_image_holds_both_files(tmp_path: Path) -> None:
    assert "COPY deploy/aws/dagster /opt/dagster/aws" in (ROOT / "Dockerfile").read_text()
    assert sorted(path.name for path in HOME.iterdir()) == ["dagster.yaml", "workspace.yaml"]
