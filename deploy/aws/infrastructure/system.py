"""All of it, put together: what is made, in the order of what needs what."""

from __future__ import annotations

import pulumi
import pulumi_aws as aws

from infrastructure import alarms, dagster, database
from infrastructure.balancer import make_balancer, make_login
from infrastructure.broker import make_broker
from infrastructure.config import QUEUES, StackConfig
from infrastructure.delivery import make_delivery
from infrastructure.network import Network, make_network
from infrastructure.preparing import make_preparing
from infrastructure.registry import make_registry
from infrastructure.secrets import make_password, make_secret
from infrastructure.servers import make_source, make_store
from infrastructure.source import Source
from infrastructure.store import Store
from infrastructure.tasks import NAMESPACE, Place


def make_system(config: StackConfig) -> dict[str, pulumi.Input]:
    """Make everything; return what an operator wants to know."""
    network = make_network(nat_gateways=config.size.nat_gateways)
    repository = make_registry()
    postgres_password, broker_password = make_password("postgres"), make_password("rabbitmq")
    postgres = database.make_database(network, config.size, password=postgres_password)
    broker = make_broker(network, config.size, password=broker_password)
    place = _make_place(config, network, repository)
    source, store = make_source(config, place), make_store(config, place)
    password = make_secret("DAGSTER_POSTGRES_PASSWORD", postgres_password)
    source_url = make_secret("TWIN_MONGODB_URL", source.url)
    shared = dagster.Shared(
        place=place,
        repository=repository,
        storage={
            "DAGSTER_HOME": dagster.DAGSTER_HOME,
            "DAGSTER_POSTGRES_HOST": postgres.host,
            "DAGSTER_POSTGRES_DB": database.NAME,
            "DAGSTER_POSTGRES_USER": database.USER,
        },
        settings=_settings(config, source, store),
        storage_secrets=[password],
        secrets=[password, source_url, make_secret("TWIN_RABBITMQ_URL", broker.url), store.secret],
        files={**source.files, **store.files},
    )
    preparing = make_preparing(source, source_url, place, repository)
    login = make_login(config.host_name, admin_email=config.admin_email)
    balancer = make_balancer(network, login, certificate_arn=config.certificate_arn)
    run_definition, run_roles = dagster.make_runs(shared, config.size)
    dagster.make_code(shared)
    dagster.make_launchers(shared, balancer, run_definition, run_roles)
    topic = alarms.make_alarms(email=config.admin_email, broker=broker, database=postgres, balancer=balancer)
    alarms.watch_servers(topic, cluster=place.cluster, source=source, store=store)
    return {
        "imageTag": config.image_tag,
        "url": f"https://{config.host_name}",
        "balancerName": balancer.balancer.dns_name,
        "repositoryUrl": repository.repository_url,
        "runTaskDefinition": run_definition.arn,
        **({"prepareTaskDefinition": preparing.arn} if preparing else {}),
        **source.outputs,
        **store.outputs,
        "cluster": place.cluster.name,
        "vpc": network.vpc.id,
        "privateSubnets": pulumi.Output.all(*network.private_subnet_ids),
        "taskSecurityGroup": network.tasks.id,
        "roles": make_delivery(config.github_repository, repository),
    }


def _make_place(config: StackConfig, network: Network, repository: aws.ecr.Repository) -> Place:
    cluster = aws.ecs.Cluster("twin", settings=[{"name": "containerInsights", "value": "enabled"}])
    logs = aws.cloudwatch.LogGroup("twin", name="/twin", retention_in_days=config.log_days)
    image = pulumi.Output.concat(repository.repository_url, ":", config.image_tag)
    names = aws.servicediscovery.PrivateDnsNamespace("twin", name=NAMESPACE, vpc=network.vpc.id)
    return Place(cluster, image, logs, network, names)


def _settings(config: StackConfig, source: Source, store: Store) -> dict[str, pulumi.Input[str]]:
    """Return the settings of docs/settings.md that differ from their defaults."""
    return {
        **source.settings,
        **store.settings,
        "TWIN_RABBITMQ_QUEUES": str(QUEUES),
        "TWIN_STREAM_REPLICAS": str(config.stream_replicas),
        "TWIN_STREAM_REPLICAS_MAX": str(config.stream_replicas_max),
    }
