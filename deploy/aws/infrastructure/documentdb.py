"""Amazon DocumentDB in the place of MongoDB: reached from the tasks alone, and by TLS alone."""

from __future__ import annotations

import pulumi
import pulumi_aws as aws

from infrastructure.certificates import path_of
from infrastructure.choices import DocumentDb
from infrastructure.groups import make_group
from infrastructure.network import ZONES, Network
from infrastructure.secrets import make_password
from infrastructure.sizes import Size
from infrastructure.source import Source

PORT = 27017
NAME = "twin"
# Letters and digits are all that the name of the latter may have.
USER, ADMIN = "twin", "twinadmin"
BACKUP_DAYS = 14
CERTIFICATES = "mongodb.pem"
# A cluster of instances: an elastic one has no change streams.
ENGINE, FAMILY = "5.0.0", "docdb5.0"
# Seven days are the most, three hours the default; beyond them capture starts over.
LOG_HOURS = 168
PARAMETERS = {
    "tls": "enabled",
    # Seconds.
    "change_stream_log_retention_duration": str(LOG_HOURS * 3600),
    # Logins, users, and what is made and dropped; no documents.
    "audit_logs": "enabled",
}


def make_documentdb(choice: DocumentDb, network: Network, size: Size, *, log_days: int) -> Source:
    """Make an encrypted cluster, and URLs for the tasks' user and for the one that makes users."""
    group = make_group(network.vpc, "documentdb")
    network.tasks.reach(group, PORT)
    admin_password, password = make_password("documentdb-admin"), make_password("documentdb")
    cluster = _cluster(network, group.id, admin_password, log_days=log_days)
    instances = [_instance(cluster, number, network, size) for number in range(size.documentdb_instances)]
    return Source(
        url=_url(cluster, USER, password),
        admin_url=_url(cluster, ADMIN, admin_password),
        settings={"TWIN_MONGODB_DIALECT": "documentdb", "TWIN_MONGODB_LOG_HOURS": str(LOG_HOURS)},
        files={CERTIFICATES: choice.authorities},
        instances=instances,
        outputs={"documentdbEndpoint": cluster.endpoint, "documentdbSecurityGroup": group.id},
    )


def _cluster(
    network: Network, group: pulumi.Output[str], password: pulumi.Output[str], *, log_days: int
) -> aws.docdb.Cluster:
    subnets = aws.docdb.SubnetGroup("twin", subnet_ids=network.private_subnet_ids)
    parameters = aws.docdb.ClusterParameterGroup(
        "twin",
        family=FAMILY,
        parameters=[{"name": name, "value": value} for name, value in PARAMETERS.items()],
    )
    # Made first: DocumentDB would make it without an end.
    logs = aws.cloudwatch.LogGroup(
        "documentdb-audit", name=f"/aws/docdb/{NAME}/audit", retention_in_days=log_days
    )
    return aws.docdb.Cluster(
        "twin",
        cluster_identifier=NAME,
        engine="docdb",
        engine_version=ENGINE,
        master_username=ADMIN,
        master_password=password,
        port=PORT,
        db_subnet_group_name=subnets.name,
        db_cluster_parameter_group_name=parameters.name,
        vpc_security_group_ids=[group],
        storage_encrypted=True,
        backup_retention_period=BACKUP_DAYS,
        enabled_cloudwatch_logs_exports=["audit"],
        # Of what may change, a new password alone would wait for a window.
        apply_immediately=True,
        deletion_protection=True,
        skip_final_snapshot=False,
        final_snapshot_identifier="twin-documentdb-final",
        opts=pulumi.ResourceOptions(protect=True, depends_on=[logs]),
    )


def _instance(
    cluster: aws.docdb.Cluster, number: int, network: Network, size: Size
) -> aws.docdb.ClusterInstance:
    return aws.docdb.ClusterInstance(
        f"twin-{number}",
        identifier=f"twin-documentdb-{number}",
        cluster_identifier=cluster.id,
        instance_class=size.documentdb_instance,
        availability_zone=network.private_subnets[number % ZONES].availability_zone,
        copy_tags_to_snapshot=True,
    )


def _url(cluster: aws.docdb.Cluster, user: str, password: pulumi.Output[str]) -> pulumi.Output[str]:
    options = f"tls=true&tlsCAFile={path_of(CERTIFICATES)}&replicaSet=rs0&retryWrites=false"
    return pulumi.Output.all(cluster.endpoint, password).apply(
        lambda found: f"mongodb://{user}:{found[1]}@{found[0]}:{PORT}/?{options}"
    )
