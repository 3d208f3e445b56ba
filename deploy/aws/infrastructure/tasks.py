"""What runs: task definitions of one image, and the services that keep three of them running."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pulumi
import pulumi_aws as aws

from infrastructure.certificates import VOLUME, add_certificates
from infrastructure.network import Network
from infrastructure.roles import TaskRoles
from infrastructure.secrets import Secret

# Where services have names, within the network.
NAMESPACE = "twin.internal"
# Seconds: a long run finishes the slice in hand. Fargate allows 120.
STOP_TIMEOUT = 90
HEALTH = {"interval": 30, "timeout": 15, "retries": 3, "startPeriod": 120}


@dataclass(frozen=True)
class Place:
    """Where all tasks run: the cluster, the image, where they log, in which network, under which names."""

    cluster: aws.ecs.Cluster
    image: pulumi.Output[str]
    logs: aws.cloudwatch.LogGroup
    network: Network
    names: aws.servicediscovery.PrivateDnsNamespace

    def register(self, name: str) -> aws.servicediscovery.Service:
        """Return where a service's tasks are entered under a name in the network."""
        return aws.servicediscovery.Service(
            name,
            name=name,
            dns_config={"namespace_id": self.names.id, "dns_records": [{"type": "A", "ttl": 10}]},
        )


@dataclass(frozen=True)
class Task:
    """One kind of task. CPU units of 1/1024, memory in MiB; without a command the image's own.

    `files` are what its container finds in the folder of certificates, by name.
    """

    name: str
    cpu: int
    memory: int
    roles: TaskRoles
    environment: Mapping[str, pulumi.Input[str]]
    secrets: Sequence[Secret]
    command: Sequence[str] = ()
    health: Sequence[str] = ()
    port: int | None = None
    files: Mapping[str, pulumi.Input[str]] = field(default_factory=dict)


@dataclass(frozen=True)
class Serving:
    """How others reach a service: by a name in the network, or through the load balancer."""

    registry: aws.servicediscovery.Service | None = None
    target: aws.lb.TargetGroup | None = None
    after: Sequence[pulumi.Resource] = field(default_factory=list)


def make_definition(place: Place, task: Task) -> aws.ecs.TaskDefinition:
    """Make a task definition; secrets are named in it, and their values are not."""
    region = aws.get_region_output().region
    environment = pulumi.Output.all(**task.environment)
    references = pulumi.Output.all(*[pulumi.Output.all(**secret.reference()) for secret in task.secrets])
    containers = pulumi.Output.all(
        image=place.image,
        logs=place.logs.name,
        region=region,
        environment=environment,
        secrets=references,
        files=pulumi.Output.all(**task.files),
    ).apply(lambda known: json.dumps(_containers(task, known)))
    return aws.ecs.TaskDefinition(
        task.name,
        family=f"twin-{task.name}",
        cpu=str(task.cpu),
        memory=str(task.memory),
        network_mode="awsvpc",
        requires_compatibilities=["FARGATE"],
        runtime_platform={"operating_system_family": "LINUX", "cpu_architecture": "X86_64"},
        execution_role_arn=task.roles.execution.arn,
        task_role_arn=task.roles.task.arn,
        container_definitions=containers,
        volumes=[{"name": VOLUME}] if task.files else None,
    )


def make_service(place: Place, task: Task, serving: Serving) -> aws.ecs.Service:
    """Keep one task running in the private subnets; a deployment that does not get healthy is taken back."""
    registries = {"registry_arn": serving.registry.arn} if serving.registry else None
    balancers = []
    if serving.target:
        balancers = [
            {"target_group_arn": serving.target.arn, "container_name": task.name, "container_port": task.port}
        ]
    return aws.ecs.Service(
        task.name,
        name=f"twin-{task.name}",
        cluster=place.cluster.arn,
        task_definition=make_definition(place, task).arn,
        launch_type="FARGATE",
        desired_count=1,
        # Never two daemons, nor two code locations of different commits: the old one ends first.
        deployment_minimum_healthy_percent=0,
        deployment_maximum_percent=100,
        deployment_circuit_breaker={"enable": True, "rollback": True},
        enable_execute_command=False,
        health_check_grace_period_seconds=120 if serving.target else None,
        network_configuration={
            "subnets": place.network.private_subnet_ids,
            "security_groups": [place.network.tasks.id],
            "assign_public_ip": False,
        },
        service_registries=registries,
        load_balancers=balancers,
        propagate_tags="SERVICE",
        opts=pulumi.ResourceOptions(depends_on=list(serving.after)),
    )


def log_to(group: str, region: str, *, prefix: str) -> dict[str, Any]:
    """Return how a container writes into CloudWatch."""
    options = {"awslogs-group": group, "awslogs-region": region, "awslogs-stream-prefix": prefix}
    return {"logDriver": "awslogs", "options": options}


def _containers(task: Task, known: dict[str, Any]) -> list[dict[str, Any]]:
    container = _container(task, known)
    return add_certificates(container, known["files"]) if task.files else [container]


def _container(task: Task, known: dict[str, Any]) -> dict[str, Any]:
    container: dict[str, Any] = {
        "name": task.name,
        "image": known["image"],
        "essential": True,
        "environment": [
            {"name": name, "value": value} for name, value in sorted(known["environment"].items())
        ],
        "secrets": known["secrets"],
        "stopTimeout": STOP_TIMEOUT,
        "linuxParameters": {"initProcessEnabled": True, "capabilities": {"drop": ["ALL"]}},
        "logConfiguration": log_to(known["logs"], known["region"], prefix=task.name),
    }
    if task.command:
        container["command"] = list(task.command)
    if task.health:
        container["healthCheck"] = {"command": ["CMD", *task.health], **HEALTH}
    if task.port:
        container["portMappings"] = [{"containerPort": task.port, "protocol": "tcp"}]
    return container
