"""Amazon MQ for RabbitMQ: the queues between capture and stream."""

from __future__ import annotations

from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from infrastructure.network import Network
from infrastructure.sizes import Size

# 3.13 is the first with quorum queues there, and the last whose queues have metrics of their own in
# CloudWatch, which the alarm on dead letters needs.
VERSION = "3.13"
USER = "twin"


@dataclass(frozen=True)
class Broker:
    """The broker, and its URL with the password in it."""

    name: pulumi.Output[str]
    url: pulumi.Output[str]


def make_broker(network: Network, size: Size, *, password: pulumi.Output[str]) -> Broker:
    """Make a broker that only TLS reaches, in private subnets; three nodes where the size says cluster."""
    subnets = network.private_subnet_ids
    broker = aws.mq.Broker(
        "twin",
        broker_name="twin",
        engine_type="RabbitMQ",
        engine_version=VERSION,
        host_instance_type=size.broker_instance,
        deployment_mode="CLUSTER_MULTI_AZ" if size.broker_is_cluster else "SINGLE_INSTANCE",
        subnet_ids=subnets if size.broker_is_cluster else subnets[:1],
        security_groups=[network.broker.id],
        publicly_accessible=False,
        auto_minor_version_upgrade=True,
        encryption_options={"use_aws_owned_key": True},
        logs={"general": True},
        users=[{"username": USER, "password": password}],
    )
    endpoint = broker.instances[0].endpoints[0]
    url = pulumi.Output.all(endpoint, password).apply(
        lambda found: f"amqps://{USER}:{found[1]}@{found[0].removeprefix('amqps://')}/%2F"
    )
    return Broker(broker.broker_name, pulumi.Output.secret(url))
