"""The disk that Qdrant's data are on: it outlives tasks and machines, and is copied every night."""

from __future__ import annotations

from typing import Any

import pulumi
import pulumi_aws as aws

from infrastructure.roles import allow, attach, make_role

SNAPSHOTS_KEPT = 14
SNAPSHOT_TIME = "03:00"
TAGS = {"twin:data": "qdrant"}


def make_volume(zone: pulumi.Output[str], *, storage: int, snapshot: str | None) -> aws.ebs.Volume:
    """Make an encrypted volume of so many GiB, with a snapshot of each of the last two weeks' days.

    None that ECS would attach: such a volume of a service's task ends with the task.
    """
    volume = aws.ebs.Volume(
        "qdrant",
        availability_zone=zone,
        size=storage,
        snapshot_id=snapshot,
        type="gp3",
        encrypted=True,
        final_snapshot=True,
        tags=TAGS | {"Name": "twin-qdrant"},
        opts=pulumi.ResourceOptions(protect=True),
    )
    _keep_snapshots(volume)
    return volume


def _keep_snapshots(volume: aws.ebs.Volume) -> None:
    role = make_role("qdrant-snapshots", "dlm.amazonaws.com")
    region = aws.get_region_output().region
    statements = pulumi.Output.all(volume=volume.arn, region=region).apply(lambda found: _statements(**found))
    attach("qdrant-snapshots", role, statements)
    aws.dlm.LifecyclePolicy(
        "qdrant",
        description="twin: the disk of Qdrant",
        execution_role_arn=role.arn,
        state="ENABLED",
        policy_details={
            "resource_types": ["VOLUME"],
            "target_tags": TAGS,
            "schedules": [
                {
                    "name": "daily",
                    "create_rule": {"interval": 24, "interval_unit": "HOURS", "times": SNAPSHOT_TIME},
                    "retain_rule": {"count": SNAPSHOTS_KEPT},
                    "copy_tags": True,
                }
            ],
        },
    )


def _statements(volume: str, region: str) -> list[dict[str, Any]]:
    snapshots = f"arn:aws:ec2:{region}::snapshot/*"
    of_this_volume = {"StringEquals": {f"aws:ResourceTag/{name}": value for name, value in TAGS.items()}}
    return [
        allow(["ec2:CreateSnapshot"], [volume, snapshots]),
        allow(["ec2:CreateTags"], [snapshots]),
        allow(["ec2:DeleteSnapshot"], [snapshots], of_this_volume),
        # AWS gives these no resource to name; all only read.
        allow(["ec2:DescribeInstances", "ec2:DescribeSnapshots", "ec2:DescribeVolumes"], ["*"]),
    ]
