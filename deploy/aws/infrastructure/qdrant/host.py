"""The machine that Qdrant runs on: it takes that one task, holds no data itself, and can be replaced."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pulumi
import pulumi_aws as aws

from infrastructure.groups import make_group
from infrastructure.roles import PATH, allow, attach, make_role
from infrastructure.sizes import Size
from infrastructure.tasks import Place

NEWEST_IMAGE = "/aws/service/ecs/optimized-ami/amazon-linux-2023/recommended/image_id"
MOUNT_VOLUME = (Path(__file__).parent / "mount_volume.sh").read_text(encoding="utf-8")
FOLDER = "/var/lib/qdrant"
ATTRIBUTE, ROLE = "twin.role", "qdrant"
ROOT_STORAGE = 30
# The agent's unit runs the script first at every boot, and again where it fails: no volume, no agent, no
# task. The cluster's name comes last, so that a machine on which anything failed before joins none of ours.
# What is said goes to the console too, since nobody can log in.
USER_DATA = """\
#!/bin/bash
set -euo pipefail
install -d /opt/twin /etc/systemd/system/ecs.service.d
cat >/opt/twin/mount_volume.sh <<'END_OF_SCRIPT'
{script}END_OF_SCRIPT
cat >/etc/systemd/system/ecs.service.d/volume.conf <<'END_OF_UNIT'
[Service]
ExecStartPre=/bin/bash /opt/twin/mount_volume.sh {volume} {folder}
TimeoutStartSec=1200
StandardOutput=journal+console
StandardError=journal+console
END_OF_UNIT
systemctl daemon-reload
cat >>/etc/ecs/ecs.config <<'END_OF_CONFIG'
ECS_CLUSTER={cluster}
ECS_INSTANCE_ATTRIBUTES={{"{attribute}": "{role}"}}
ECS_AWSVPC_BLOCK_IMDS=true
ECS_ENABLE_AWSLOGS_EXECUTIONROLE_OVERRIDE=true
ECS_IMAGE_PULL_BEHAVIOR=prefer-cached
END_OF_CONFIG
"""


def make_host(
    place: Place, size: Size, volume: aws.ebs.Volume, *, image: str | None
) -> tuple[aws.ec2.Instance, aws.ec2.VolumeAttachment]:
    """Make the machine in the first private subnet, with the volume attached.

    Without an image's id it gets the newest one of when it is made, and keeps that: another one replaces it.
    """
    group = make_group(place.network.vpc, "qdrant-host")
    group.reach_anywhere(443, 443)
    newest = aws.ssm.get_parameter_output(name=NEWEST_IMAGE).insecure_value
    instance = aws.ec2.Instance(
        "qdrant",
        ami=image or newest,
        instance_type=size.qdrant_instance,
        subnet_id=place.network.private_subnets[0].id,
        vpc_security_group_ids=[group.id],
        associate_public_ip_address=False,
        iam_instance_profile=_profile(place.cluster).name,
        metadata_options={
            "http_endpoint": "enabled",
            "http_tokens": "required",
            "http_put_response_hop_limit": 1,
        },
        maintenance_options={"auto_recovery": "default"},
        root_block_device={"encrypted": True, "volume_type": "gp3", "volume_size": ROOT_STORAGE},
        user_data=pulumi.Output.all(volume=volume.id, cluster=place.cluster.name).apply(
            lambda found: user_data(**found)
        ),
        user_data_replace_on_change=True,
        tags={"Name": "twin-qdrant"},
        # The volume is free for the next machine only when this one is gone.
        opts=pulumi.ResourceOptions(delete_before_replace=True, ignore_changes=[] if image else ["ami"]),
    )
    attachment = aws.ec2.VolumeAttachment(
        "qdrant",
        instance_id=instance.id,
        volume_id=volume.id,
        device_name="/dev/sdf",
        stop_instance_before_detaching=True,
        opts=pulumi.ResourceOptions(delete_before_replace=True),
    )
    return instance, attachment


def user_data(*, volume: str, cluster: str) -> str:
    """Return what a new machine runs once, as root."""
    return USER_DATA.format(
        script=MOUNT_VOLUME, volume=volume, folder=FOLDER, cluster=cluster, attribute=ATTRIBUTE, role=ROLE
    )


def _profile(cluster: aws.ecs.Cluster) -> aws.iam.InstanceProfile:
    role = make_role("qdrant-host", "ec2.amazonaws.com")
    account, region = aws.get_caller_identity_output().account_id, aws.get_region_output().region
    statements = pulumi.Output.all(
        cluster=cluster.arn,
        instances=pulumi.Output.concat(
            "arn:aws:ecs:", region, ":", account, ":container-instance/", cluster.name, "/*"
        ),
    ).apply(lambda found: _statements(**found))
    attach("qdrant-host", role, statements)
    return aws.iam.InstanceProfile("qdrant-host", name="twin-qdrant-host", path=PATH, role=role.name)


def _statements(cluster: str, instances: str) -> list[dict[str, Any]]:
    """Return what the agent of ECS asks for itself; tasks have roles of their own for secrets and logs."""
    return [
        allow(
            [
                "ecs:DeregisterContainerInstance",
                "ecs:RegisterContainerInstance",
                "ecs:SubmitAttachmentStateChanges",
                "ecs:SubmitContainerStateChange",
                "ecs:SubmitTaskStateChange",
            ],
            [cluster],
        ),
        allow(["ecs:Poll", "ecs:StartTelemetrySession", "ecs:UpdateContainerInstancesState"], [instances]),
        # AWS gives this one no resource to name.
        allow(["ecs:DiscoverPollEndpoint"], ["*"]),
    ]
