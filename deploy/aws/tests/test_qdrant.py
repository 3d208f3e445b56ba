"""Qdrant on ECS: one task on one machine, whose data outlive both."""

from __future__ import annotations

from pathlib import Path

import yaml

ROOT = Path(__file__).parents[3]
COMPOSE = yaml.safe_load((ROOT / "docker-compose.yaml").read_text())["services"]["qdrant"]


def test_it_is_the_compose_files_with_a_key_tls_and_no_telemetry(self_hosted):
    container = self_hosted.containers()["qdrant"]
    assert container["image"] == COMPOSE["image"]
    environment = self_hosted.environment("qdrant")
    assert environment["QDRANT__TELEMETRY_DISABLED"] == COMPOSE["environment"]["QDRANT__TELEMETRY_DISABLED"]
    assert environment["QDRANT__SERVICE__ENABLE_TLS"] == "true"
    keys = {each["name"]: each["valueFrom"].rsplit("/", 1)[1] for each in container["secrets"]}
    assert keys["QDRANT__SERVICE__API_KEY"] == "twin-qdrant-api-key", "the one that runs get"
    assert container["portMappings"] == [{"containerPort": 6333, "protocol": "tcp"}]
    assert container["stopTimeout"] >= 60
    assert container["ulimits"] == [{"name": "nofile", "softLimit": 65536, "hardLimit": 65536}]


def test_its_memory_leaves_room_to_the_machine_in_every_size(self_hosted, self_hosted_medium):
    # MiB, of t3.large and m7i.xlarge.
    for declared, of_machine in ((self_hosted, 8192), (self_hosted_medium, 16384)):
        total = sum(container["memory"] for container in declared.definitions()["qdrant"])
        assert of_machine * 0.7 < total < of_machine - 1536


def test_its_data_are_on_the_volume_and_only_its_certificate_is_the_tasks(self_hosted):
    definition = self_hosted.one("ecs/taskDefinition", "qdrant")
    assert definition["requiresCompatibilities"] == ["EC2"]
    assert definition["networkMode"] == "awsvpc"
    hosts = {volume["name"]: volume.get("hostPath") for volume in definition["volumes"]}
    assert hosts == {
        "storage": "/var/lib/qdrant/storage", "snapshots": "/var/lib/qdrant/snapshots", "certificates": None
    }  # fmt: skip
    mounts = {each["sourceVolume"]: each for each in self_hosted.containers()["qdrant"]["mountPoints"]}
    assert mounts["storage"]["containerPath"] == "/qdrant/storage"
    assert mounts["snapshots"]["containerPath"] == "/qdrant/snapshots"


def test_it_runs_where_the_volume_is_and_only_there(self_hosted):
    service = self_hosted.one("ecs/service", "qdrant")
    assert service["launchType"] == "EC2"
    assert service["placementConstraints"] == [
        {"type": "memberOf", "expression": "attribute:twin.role == qdrant"}
    ]
    [volume] = self_hosted.of("ebs/volume")
    [host] = self_hosted.of("ec2/instance")
    [subnet] = [each for each in self_hosted.of("ec2/subnet") if f"{each.name}-id" == host["subnetId"]]
    assert volume["availabilityZone"] == subnet["availabilityZone"]
    assert service["networkConfiguration"]["subnets"] == [host["subnetId"]]
    [attachment] = self_hosted.of("ec2/volumeAttachment")
    assert (attachment["volumeId"], attachment["instanceId"]) == ("vol-qdrant", "qdrant-id")
    assert any(urn.endswith("VolumeAttachment::qdrant") for urn in service.options.dependencies)


def test_its_name_in_the_network_is_that_of_its_certificate_and_of_its_url(self_hosted):
    service = self_hosted.one("ecs/service", "qdrant")
    assert service["serviceRegistries"]["registryArn"].endswith("/qdrant")
    [namespace] = self_hosted.of("servicediscovery/privateDnsNamespace")
    name = f"{self_hosted.one('servicediscovery/service', 'qdrant')['name']}.{namespace['name']}"
    [request] = self_hosted.of("index/certRequest")
    assert request["dnsNames"] == [name]
    assert self_hosted.environment("run")["TWIN_QDRANT_URL"] == f"https://{name}:6333"
    assert self_hosted.environment("qdrant")["HOST_NAME"] == name


def test_its_certificate_is_signed_by_an_authority_of_its_own_and_renewed_in_time(self_hosted):
    [authority] = self_hosted.of("index/selfSignedCert")
    [certificate] = self_hosted.of("index/locallySignedCert")
    assert authority["isCaCertificate"] is True
    assert set(authority["allowedUses"]) == {"cert_signing", "crl_signing"}
    assert set(certificate["allowedUses"]) == {"digital_signature", "server_auth"}
    assert certificate["caCertPem"] == "the authority qdrant-authority"
    assert "isCaCertificate" not in certificate.inputs
    year_h = 365 * 24
    assert certificate["validityPeriodHours"] == 3 * year_h
    assert certificate["earlyRenewalHours"] == authority["earlyRenewalHours"] == year_h
    assert authority["validityPeriodHours"] > certificate["validityPeriodHours"]


def test_its_volume_has_a_snapshot_of_every_day_for_two_weeks_and_leaves_one(self_hosted):
    [volume] = self_hosted.of("ebs/volume")
    assert volume["finalSnapshot"] is True
    assert (volume["type"], volume["size"]) == ("gp3", 50)
    [policy] = self_hosted.of("dlm/lifecyclePolicy")
    details = policy["policyDetails"]
    assert policy["state"] == "ENABLED"
    assert details["resourceTypes"] == ["VOLUME"]
    assert details["targetTags"].items() <= volume["tags"].items()
    [schedule] = details["schedules"]
    assert (schedule["createRule"]["interval"], schedule["createRule"]["intervalUnit"]) == (24, "HOURS")
    assert schedule["retainRule"] == {"count": 14}
    # The role may delete what bears the volume's tags, and nothing else.
    assert schedule["copyTags"] is True


def test_its_volume_is_made_of_a_snapshot_when_told_so(self_hosted, self_hosted_medium):
    assert "snapshotId" not in self_hosted.of("ebs/volume")[0].inputs
    [volume] = self_hosted_medium.of("ebs/volume")
    assert volume["snapshotId"] == "snap-0123456789abcdef0"
    assert volume.options.protect, "so that it takes a person to replace the one that is there"
    # A new machine goes with it: the id is in what the machine runs.
    assert "vol-qdrant" in self_hosted_medium.of("ec2/instance")[0]["userData"]


def test_its_machine_asks_for_tokens_recovers_by_itself_and_lets_nobody_in(self_hosted):
    [host] = self_hosted.of("ec2/instance")
    assert host["metadataOptions"] == {
        "httpEndpoint": "enabled", "httpTokens": "required", "httpPutResponseHopLimit": 1
    }  # fmt: skip
    assert host["maintenanceOptions"] == {"autoRecovery": "default"}
    assert "keyName" not in host.inputs
    assert host["iamInstanceProfile"] == "twin-qdrant-host"


def test_its_machine_is_replaced_when_told_so_and_not_by_a_newer_image(self_hosted, self_hosted_medium):
    [host] = self_hosted.of("ec2/instance")
    assert "/aws/service/ecs/optimized-ami/amazon-linux-2023/recommended/image_id" in host["ami"]
    assert list(host.options.ignoreChanges) == ["ami"]
    assert host["userDataReplaceOnChange"] is True
    [told] = self_hosted_medium.of("ec2/instance")
    assert told["ami"] == "ami-0123456789abcdef0"
    assert not told.options.ignoreChanges
    for declared in (self_hosted, self_hosted_medium):
        [host] = declared.of("ec2/instance")
        [attachment] = declared.of("ec2/volumeAttachment")
        # The old one has to let go of the volume before the new one can have it.
        assert host.options.deleteBeforeReplace
        assert attachment.options.deleteBeforeReplace
        assert attachment["stopInstanceBeforeDetaching"] is True


def test_sizes_come_from_the_configuration(self_hosted, self_hosted_medium):
    assert self_hosted.of("ec2/instance")[0]["instanceType"] == "t3.large"
    assert self_hosted_medium.of("ec2/instance")[0]["instanceType"] == "m7i.xlarge"
    assert self_hosted_medium.of("ebs/volume")[0]["size"] == 300


def test_an_operator_is_told_what_readers_need_and_no_key(self_hosted):
    outputs = self_hosted.outputs
    assert outputs["qdrantUrl"] == "https://qdrant.twin.internal:6333"
    assert outputs["qdrantAuthority"] == "the authority qdrant-authority"
    assert outputs["qdrantReadOnlyKey"].endswith("/qdrant-read-only-api-key")
    assert outputs["qdrantSecurityGroup"] == "qdrant-id"
