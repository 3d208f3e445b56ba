"""All of it, put together: what is made, in the order of what needs what."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from infrastructure import alarms, database
from infrastructure.balancer import make_balancer, make_login
from infrastructure.broker import make_broker
from infrastructure.config import QUEUES, StackConfig
from infrastructure.delivery import make_delivery
from infrastructure.network import CODE_PORT, WEBSERVER_PORT, make_network
from infrastructure.registry import make_registry
from infrastructure.roles import TaskRoles, allow_launching, make_task_roles
from infrastructure.secrets import Secret, make_password, make_secret
from infrastructure.tasks import Place, Serving, Task, make_definition, make_service

DAGSTER_HOME = "/opt/dagster/aws"
WORKSPACE = f"{DAGSTER_HOME}/workspace.yaml"
# Within its task; the security group says who reaches it.
ANY_ADDRESS = "0.0.0.0"  # noqa: S104
NAMESPACE = "twin.internal"
READ_INFO = "from urllib.request import urlopen; urlopen('http://127.0.0.1:3000/server_info', timeout=5)"


@dataclass(frozen=True)
class Shared:
    """What all kinds of tasks are made with."""

    place: Place
    repository: aws.ecr.Repository
    storage: Mapping[str, pulumi.Input[str]]
    settings: Mapping[str, pulumi.Input[str]]
    storage_secrets: Sequence[Secret]
    secrets: Sequence[Secret]

    def roles(self, name: str, secrets: Sequence[Secret]) -> TaskRoles:
        return make_task_roles(name, repository=self.repository, logs=self.place.logs, secrets=secrets)


def make_system(config: StackConfig) -> dict[str, pulumi.Input]:
    """Make everything; return what an operator wants to know."""
    network = make_network(nat_gateways=config.size.nat_gateways)
    repository = make_registry()
    postgres_password, broker_password = make_password("postgres"), make_password("rabbitmq")
    postgres = database.make_database(network, config.size, password=postgres_password)
    broker = make_broker(network, config.size, password=broker_password)
    password = make_secret("DAGSTER_POSTGRES_PASSWORD", postgres_password)
    cluster = aws.ecs.Cluster("twin", settings=[{"name": "containerInsights", "value": "enabled"}])
    logs = aws.cloudwatch.LogGroup("twin", name="/twin", retention_in_days=config.log_days)
    image = pulumi.Output.concat(repository.repository_url, ":", config.image_tag)
    shared = Shared(
        place=Place(cluster, image, logs, network),
        repository=repository,
        storage={
            "DAGSTER_HOME": DAGSTER_HOME,
            "DAGSTER_POSTGRES_HOST": postgres.host,
            "DAGSTER_POSTGRES_DB": database.NAME,
            "DAGSTER_POSTGRES_USER": database.USER,
        },
        settings={
            "TWIN_QDRANT_URL": config.qdrant_url,
            "TWIN_RABBITMQ_QUEUES": str(QUEUES),
            "TWIN_STREAM_REPLICAS": str(config.stream_replicas),
            "TWIN_STREAM_REPLICAS_MAX": str(config.stream_replicas_max),
        },
        storage_secrets=[password],
        secrets=[
            password,
            make_secret("TWIN_MONGODB_URL", config.mongodb_url),
            make_secret("TWIN_RABBITMQ_URL", broker.url),
            make_secret("TWIN_QDRANT_API_KEY", config.qdrant_api_key),
        ],
    )
    login = make_login(config.host_name, admin_email=config.admin_email)
    balancer = make_balancer(network, login, certificate_arn=config.certificate_arn)
    run_definition, run_roles = _make_runs(shared, config)
    _make_code(shared)
    launching = shared.storage | {"TWIN_RUN_TASK_DEFINITION": run_definition.arn}
    for name, command, health, serving in (
        (
            "webserver",
            [
                "dagster-webserver",
                "--host",
                ANY_ADDRESS,
                "--port",
                str(WEBSERVER_PORT),
                "--workspace",
                WORKSPACE,
            ],
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
        allow_launching(name, roles.task, cluster=cluster, family="twin-run", run=run_roles)
        port = WEBSERVER_PORT if serving.target else None
        task = Task(name, 512, 2048, roles, launching, shared.storage_secrets, command, health, port)
        make_service(shared.place, task, serving)
    alarms.make_alarms(email=config.admin_email, broker=broker, database=postgres, balancer=balancer)
    return {
        "imageTag": config.image_tag,
        "url": f"https://{config.host_name}",
        "balancerName": balancer.balancer.dns_name,
        "repositoryUrl": repository.repository_url,
        "runTaskDefinition": run_definition.arn,
        "cluster": cluster.name,
        "privateSubnets": pulumi.Output.all(*network.private_subnet_ids),
        "taskSecurityGroup": network.tasks.id,
        "roles": make_delivery(config.github_repository, repository),
    }


def _make_runs(shared: Shared, config: StackConfig) -> tuple[aws.ecs.TaskDefinition, TaskRoles]:
    """Define what Dagster launches: capture, stream, rebuilds and checks are tasks of this one definition."""
    roles = shared.roles("run", shared.secrets)
    environment = shared.storage | shared.settings
    task = Task("run", config.size.run_cpu, config.size.run_memory, roles, environment, shared.secrets)
    return make_definition(shared.place, task), roles


def _make_code(shared: Shared) -> None:
    """Keep the code location running, under a name in the network."""
    namespace = aws.servicediscovery.PrivateDnsNamespace(
        "twin", name=NAMESPACE, vpc=shared.place.network.vpc.id
    )
    registry = aws.servicediscovery.Service(
        "code",
        name="code",
        dns_config={"namespace_id": namespace.id, "dns_records": [{"type": "A", "ttl": 10}]},
    )
    task = Task(
        "code",
        512,
        2048,
        shared.roles("code", shared.secrets),
        shared.storage | shared.settings,
        shared.secrets,
        health=["dagster", "api", "grpc-health-check", "--port", str(CODE_PORT)],
        port=CODE_PORT,
    )
    make_service(shared.place, task, Serving(registry=registry))
