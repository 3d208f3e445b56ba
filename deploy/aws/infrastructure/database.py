"""Dagster's own memory: runs, events, schedules, in Postgres."""

from __future__ import annotations

from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from infrastructure.network import POSTGRES_PORT, Network
from infrastructure.sizes import Size

NAME = USER = "dagster"
BACKUP_DAYS = 14


@dataclass(frozen=True)
class Database:
    """Where Postgres answers."""

    instance: aws.rds.Instance
    host: pulumi.Output[str]


def make_database(network: Network, size: Size, *, password: pulumi.Input[str]) -> Database:
    """Make an encrypted instance that only TLS reaches, and that nobody deletes by mistake."""
    subnets = aws.rds.SubnetGroup("dagster", subnet_ids=network.private_subnet_ids)
    parameters = aws.rds.ParameterGroup(
        "dagster", family="postgres16", parameters=[{"name": "rds.force_ssl", "value": "1"}]
    )
    instance = aws.rds.Instance(
        "dagster",
        engine="postgres",
        engine_version="16",
        instance_class=size.database_instance,
        allocated_storage=size.database_storage,
        max_allocated_storage=size.database_storage * 5,
        storage_type="gp3",
        storage_encrypted=True,
        multi_az=size.database_has_standby,
        db_name=NAME,
        username=USER,
        password=password,
        port=POSTGRES_PORT,
        db_subnet_group_name=subnets.name,
        parameter_group_name=parameters.name,
        vpc_security_group_ids=[network.database.id],
        publicly_accessible=False,
        auto_minor_version_upgrade=True,
        backup_retention_period=BACKUP_DAYS,
        copy_tags_to_snapshot=True,
        deletion_protection=True,
        skip_final_snapshot=False,
        final_snapshot_identifier="twin-dagster-final",
        opts=pulumi.ResourceOptions(protect=True),
    )
    return Database(instance, instance.address)
