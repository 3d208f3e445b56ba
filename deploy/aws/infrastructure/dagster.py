"""Dagster's parts: the definition of its runs, and the services code location, webserver and daemon."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from infrastructure.balancer import Balancer
from infrastructure.network import CODE_PORT, WEBSERVER_PORT
from infrastructure.roles import TaskRoles, allow_launching, make_task_roles
from infrastructure.secrets import Secret
from infrastructure.sizes import Size
from infrastructure.tasks import Place, Serving, Task, make_definition, make_service

DAGSTER_HOME = "/opt/dagster/aws"
WORKSPACE = f"{DAGSTER_HOME}/workspace.yaml"
# Within its task; the security group says who reaches it.
ANY_ADDRESS = "0.0.0.0"  # noqa: S104
READ_INFO = "from urllib.request import urlopen; urlopen('http://127.0.0.1:3000/server_info', timeout=5)"
SERVE = ["dagster-webserver", "--host", ANY_ADDRESS, "--port", str(WEBSERVER_PORT), "--workspace", WORKSPACE]


@dataclass(frozen=True)
class Shared:
    """What all kinds of tasks are made with: some with Dagster's storage alone, some with everything."""

    place: Place
    repository: aws.ecr.Repository
    storage: Mapping[str, pulumi.Input[str]]
    settings: Mapping[str, pulumi.Input[str]]
    storage_secrets: Sequence[Secret]
    secrets: Sequence[Secret]
    files: Mapping[str, pulumi.Input[str]]

    def roles(self, name: str, secrets: Sequence[Secret]) -> TaskRoles:
        return make_task_roles(name, repository=self.repository, logs=self.place.logs, secrets=secrets)


def make_runs(shared: Shared, size: Size) -> tuple[aws.ecs.TaskDefinition, TaskRoles]:
    """Define what Dagster launches: capture, stream, rebuilds and checks are tasks of this one definition."""
    roles = shared.roles("run", shared.secrets)
    environment = shared.storage | shared.settings
    task = Task("run", size.run_cpu, size.run_memory, roles, environment, shared.secrets, files=shared.files)
    return make_definition(shared.place, task), roles


def make_code(shared: Shared) -> None:
    """Keep the code location running, under a name in the network."""
    task = Task(
        "code",
        512,
        2048,
        shared.roles("code", shared.secrets),
        shared.storage | shared.settings,
        shared.secrets,
        health=["dagster", "api", "grpc-health-check", "--port", str(CODE_PORT)],
        port=CODE_PORT,
        files=shared.files,
    )
    make_service(shared.place, task, Serving(registry=shared.place.register("code")))


def make_launchers(
    shared: Shared, balancer: Balancer, run_definition: aws.ecs.TaskDefinition, run_roles: TaskRoles
) -> None:
    """Keep webserver and daemon running, which start runs of the one definition."""
    launching = shared.storage | {"TWIN_RUN_TASK_DEFINITION": run_definition.arn}
    for name, command, health, serving in (
        (
            "webserver",
            SERVE,
            ["python", "-c", READ_INFO],
            Serving(target=balancer.target, after=[balancer.listener]),
        ),
        (
            "daemon",
            ["dagster-daemon", "run", "--workspace", WORKSPACE],
            ["dagster-daemon", "liveness-check"],
            Serving(),
        ),
    ):
        roles = shared.roles(name, shared.storage_secrets)
        allow_launching(name, roles.task, cluster=shared.place.cluster, family="twin-run", run=run_roles)
        port = WEBSERVER_PORT if serving.target else None
        task = Task(name, 512, 2048, roles, launching, shared.storage_secrets, command, health, port)
        make_service(shared.place, task, serving)
