"""What is stored is encrypted, backed up, and not deleted by mistake; images never change."""

from __future__ import annotations


def test_the_database_is_encrypted_backed_up_protected_and_speaks_tls_only(declared):
    [instance] = declared.of("rds/instance")
    assert instance["storageEncrypted"]
    assert instance["deletionProtection"]
    assert instance["skipFinalSnapshot"] is False
    assert instance["backupRetentionPeriod"] >= 7
    [parameters] = declared.of("rds/parameterGroup")
    assert {"name": "rds.force_ssl", "value": "1"} in parameters["parameters"]
    assert instance["parameterGroupName"] == parameters.name
    assert not instance["multiAz"]


def test_the_larger_sizes_survive_a_zone(medium):
    [instance] = medium.of("rds/instance")
    [broker] = medium.of("mq/broker")
    assert instance["multiAz"]
    assert broker["deploymentMode"] == "CLUSTER_MULTI_AZ"
    assert len(broker["subnetIds"]) == 2
    assert len(medium.of("ec2/natGateway")) == 2


def test_the_broker_has_quorum_queues_encryption_and_a_log(declared):
    [broker] = declared.of("mq/broker")
    assert broker["engineType"] == "RabbitMQ"
    assert tuple(map(int, broker["engineVersion"].split("."))) >= (3, 13)
    assert broker["encryptionOptions"]
    assert broker["logs"]["general"]


def test_images_are_scanned_encrypted_never_overwritten_and_not_kept_for_ever(declared):
    [repository] = declared.of("ecr/repository")
    assert repository["imageTagMutability"] == "IMMUTABLE"
    assert repository["imageScanningConfiguration"]["scanOnPush"]
    assert repository["encryptionConfigurations"]
    assert declared.of("ecr/lifecyclePolicy")


def test_logs_end_after_the_days_that_are_set(declared):
    assert {group["retentionInDays"] for group in declared.of("cloudwatch/logGroup")} == {30}


def test_whatever_holds_data_is_encrypted(declared, is_self_hosted):
    switches = {
        "rds/instance": ["storageEncrypted"],
        "docdb/cluster": ["storageEncrypted"],
        "ebs/volume": ["encrypted"],
        "ec2/instance": ["rootBlockDevice", "encrypted"],
    }
    for kind, path in switches.items():
        assert declared.has(kind) == (is_self_hosted or kind == "rds/instance")
        for each in declared.of(kind) if declared.has(kind) else []:
            found = each.inputs
            for key in path:
                found = found[key]
            assert found is True, each.name


def test_whatever_holds_data_is_kept_by_pulumi_and_leaves_a_snapshot(declared, is_self_hosted):
    protected = {(each.type.split(":")[0], each.name) for each in declared.all if each.options.protect}
    own = {("docdb/cluster", "twin"), ("ebs/volume", "qdrant")}
    assert protected == {("rds/instance", "dagster")} | (own if is_self_hosted else set())
    for kind in ("rds/instance", "docdb/cluster"):
        for each in declared.of(kind) if declared.has(kind) else []:
            assert each["deletionProtection"]
            assert each["skipFinalSnapshot"] is False
            assert each["finalSnapshotIdentifier"]
            assert each["backupRetentionPeriod"] == 14
