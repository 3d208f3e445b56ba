"""The one task of Qdrant, and the service that keeps it running: never two on one folder."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pulumi
import pulumi_aws as aws

from infrastructure.certificates import CONTAINER, VOLUME, path_of
from infrastructure.certificates import FOLDER as CERTIFICATES
from infrastructure.groups import Group
from infrastructure.qdrant.authority import ServerCertificate
from infrastructure.qdrant.host import ATTRIBUTE, FOLDER, ROLE
from infrastructure.roles import TaskRoles
from infrastructure.secrets import Secret
from infrastructure.sizes import Size
from infrastructure.tasks import NAMESPACE, Place, log_to

NAME = "qdrant"
# The compose file's; one minor version at a time, see docs/operations.md.
IMAGE = "qdrant/qdrant:v1.16.3"
PORT = 6333
HOST_NAME = f"{NAME}.{NAMESPACE}"
# Seconds: it flushes what it holds.
STOP_TIMEOUT = 120
# It reads its collections before it is ready. Five minutes are all that ECS allows, and then ten tries.
HEALTH = {"interval": 30, "timeout": 10, "retries": 10, "startPeriod": 300}
SCRIPTS = Path(__file__).parent
READY = (SCRIPTS / "ready.sh").read_text(encoding="utf-8")
WRITE_CERTIFICATE = (SCRIPTS / "write_certificate.sh").read_text(encoding="utf-8")
ENVIRONMENT = {
    "QDRANT__SERVICE__ENABLE_TLS": "true",
    "QDRANT__TLS__CERT": path_of("certificate.pem"),
    "QDRANT__TLS__KEY": path_of("key.pem"),
    "QDRANT__TELEMETRY_DISABLED": "true",
    "AUTHORITY": path_of("authority.pem"),
    "HOST_NAME": HOST_NAME,
}


def make_definition(
    place: Place,
    size: Size,
    *,
    roles: TaskRoles,
    certificate: ServerCertificate,
    key: Secret,
    secrets: Sequence[Secret],
) -> aws.ecs.TaskDefinition:
    """Define the task: Qdrant on the machine's folder, after a container that writes its certificate."""
    known = pulumi.Output.all(
        log=pulumi.Output.all(place.logs.name, aws.get_region_output().region).apply(
            lambda found: log_to(*found, prefix=NAME)
        ),
        certificate=certificate.certificate,
        authority=certificate.authority,
        key=pulumi.Output.all(**key.reference()),
        secrets=pulumi.Output.all(*[pulumi.Output.all(**secret.reference()) for secret in secrets]),
    )
    return aws.ecs.TaskDefinition(
        NAME,
        family=f"twin-{NAME}",
        network_mode="awsvpc",
        requires_compatibilities=["EC2"],
        execution_role_arn=roles.execution.arn,
        task_role_arn=roles.task.arn,
        volumes=[
            {"name": "storage", "host_path": f"{FOLDER}/storage"},
            {"name": "snapshots", "host_path": f"{FOLDER}/snapshots"},
            {"name": VOLUME},
        ],
        container_definitions=known.apply(
            lambda found: json.dumps([_server(size, found), _certificate_writer(found)])
        ),
    )


def make_service(
    place: Place, definition: aws.ecs.TaskDefinition, group: Group, *, after: pulumi.Resource
) -> aws.ecs.Service:
    """Keep one task on the machine that has the volume."""
    return aws.ecs.Service(
        NAME,
        name=f"twin-{NAME}",
        cluster=place.cluster.arn,
        task_definition=definition.arn,
        launch_type="EC2",
        placement_constraints=[{"type": "memberOf", "expression": f"attribute:{ATTRIBUTE} == {ROLE}"}],
        desired_count=1,
        deployment_minimum_healthy_percent=0,
        deployment_maximum_percent=100,
        deployment_circuit_breaker={"enable": True, "rollback": True},
        enable_execute_command=False,
        network_configuration={
            # The machine's, which is where its volume is.
            "subnets": place.network.private_subnet_ids[:1],
            "security_groups": [group.id],
            "assign_public_ip": False,
        },
        service_registries={"registry_arn": place.register(NAME).arn},
        propagate_tags="SERVICE",
        opts=pulumi.ResourceOptions(depends_on=[after]),
    )


def _server(size: Size, known: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "name": NAME,
        "image": IMAGE,
        "essential": True,
        "memory": size.qdrant_memory,
        "environment": [{"name": name, "value": value} for name, value in sorted(ENVIRONMENT.items())],
        "secrets": known["secrets"],
        "portMappings": [{"containerPort": PORT, "protocol": "tcp"}],
        "mountPoints": [
            {"sourceVolume": "storage", "containerPath": "/qdrant/storage", "readOnly": False},
            {"sourceVolume": "snapshots", "containerPath": "/qdrant/snapshots", "readOnly": False},
            {"sourceVolume": VOLUME, "containerPath": CERTIFICATES, "readOnly": True},
        ],
        "dependsOn": [{"containerName": CONTAINER, "condition": "SUCCESS"}],
        "healthCheck": {"command": ["CMD", "bash", "-c", READY], **HEALTH},
        "stopTimeout": STOP_TIMEOUT,
        "ulimits": [{"name": "nofile", "softLimit": 65536, "hardLimit": 65536}],
        "linuxParameters": {"initProcessEnabled": True, "capabilities": {"drop": ["ALL"]}},
        "logConfiguration": known["log"],
    }


def _certificate_writer(known: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "name": CONTAINER,
        "image": IMAGE,
        "essential": False,
        "memory": 64,
        "user": "0",
        "entryPoint": ["bash", "-c", WRITE_CERTIFICATE, "write_certificate", CERTIFICATES],
        "environment": [
            {"name": "AUTHORITY", "value": known["authority"]},
            {"name": "CERTIFICATE", "value": known["certificate"]},
        ],
        "secrets": [known["key"]],
        "mountPoints": [{"sourceVolume": VOLUME, "containerPath": CERTIFICATES, "readOnly": False}],
        "linuxParameters": {"capabilities": {"drop": ["ALL"]}},
        "logConfiguration": known["log"],
    }
