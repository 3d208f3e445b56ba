"""What is stored is encrypted, backed up, and not deleted by mistake; images never change."""

from __future__ import annotations


def test_the_database_is_encrypted_backed_up_protected_and_speaks_tls_only(small):
    [instance] = small.of("rds/instance")
    assert instance["storageEncrypted"]
    assert instance["deletionProtection"]
    assert instance["skipFinalSnapshot"] is False
    assert instance["backupRetentionPeriod"] >= 7
    [parameters] = small.of("rds/parameterGroup")
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


def test_the_broker_has_quorum_queues_encryption_and_a_log(small):
    [broker] = small.of("mq/broker")
    assert broker["engineType"] == "RabbitMQ"
    assert tuple(map(int, broker["engineVersion"].split("."))) >= (3, 13)
    assert broker["encryptionOptions"]
    assert broker["logs"]["general"]


def test_images_are_scanned_encrypted_never_overwritten_and_not_kept_for_ever(small):
    [repository] = small.of("ecr/repository")
    assert repository["imageTagMutability"] == "IMMUTABLE"
    assert repository["imageScanningConfiguration"]["scanOnPush"]
    assert repository["encryptionConfigurations"]
    assert small.of("ecr/lifecyclePolicy")


def test_logs_end_after_the_days_that_are_set(small):
    assert [group["retentionInDays"] for group in small.of("cloudwatch/logGroup")] == [30]
