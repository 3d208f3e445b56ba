"""DocumentDB: change streams kept for as long as can be, TLS, and its admin's password for one task alone."""

from __future__ import annotations

from tests.conftest import password

OPTIONS = "tls=true&tlsCAFile=/certificates/mongodb.pem&replicaSet=rs0&retryWrites=false"


def test_it_is_a_cluster_of_instances_with_change_streams_for_seven_days_and_tls(self_hosted):
    [group] = self_hosted.of("docdb/clusterParameterGroup")
    parameters = {each["name"]: each["value"] for each in group["parameters"]}
    assert parameters["change_stream_log_retention_duration"] == str(7 * 24 * 3600)
    assert self_hosted.environment("run")["TWIN_MONGODB_LOG_HOURS"] == str(7 * 24)
    assert parameters["tls"] == "enabled"
    assert parameters["audit_logs"] == "enabled"
    assert group["family"] == "docdb5.0"
    [cluster] = self_hosted.of("docdb/cluster")
    assert cluster["engineVersion"].startswith("5.0")
    assert cluster["dbClusterParameterGroupName"] == group.name
    assert not self_hosted.has("docdb/elasticCluster"), "it would have no change streams"


def test_its_log_ends_too(self_hosted):
    [cluster] = self_hosted.of("docdb/cluster")
    assert cluster["enabledCloudwatchLogsExports"] == ["audit"]
    log = self_hosted.one("cloudwatch/logGroup", "documentdb-audit")
    assert log["name"] == f"/aws/docdb/{cluster['clusterIdentifier']}/audit"
    assert any(urn.endswith("::documentdb-audit") for urn in cluster.options.dependencies)


def test_its_two_users_have_passwords_of_their_own(self_hosted):
    kept = self_hosted.secrets()
    mine, admin = password("documentdb"), password("documentdb-admin")
    assert kept["twin-mongodb-url"] == f"mongodb://twin:{mine}@docdb.example.org:27017/?{OPTIONS}"
    assert kept["twin-mongodb-admin-url"] == (
        f"mongodb://twinadmin:{admin}@docdb.example.org:27017/?{OPTIONS}"
    )
    [cluster] = self_hosted.of("docdb/cluster")
    # AWS takes letters and digits alone.
    assert cluster["masterUsername"].isalnum()
    assert cluster["masterUsername"] == "twinadmin"
    assert cluster["applyImmediately"] is True, "else a new password waits for a window"


def test_the_task_that_prepares_it_does_just_that(self_hosted):
    container = self_hosted.containers()["prepare"]
    assert container["command"] == ["twin", "prepare-source"]
    assert self_hosted.environment("prepare")["TWIN_MONGODB_DIALECT"] == "documentdb"
    definition = self_hosted.one("ecs/taskDefinition", "prepare")
    assert definition["family"] == "twin-prepare"
    assert definition["taskRoleArn"].endswith("/prepare-task")
    assert definition["executionRoleArn"].endswith("/prepare-execution")
    assert self_hosted.outputs["prepareTaskDefinition"].endswith("/prepare")
    assert self_hosted.outputs["documentdbEndpoint"] == "docdb.example.org"


def test_without_it_there_is_nothing_to_prepare(small):
    assert "prepareTaskDefinition" not in small.outputs
    assert "prepare" not in small.containers()


def test_the_larger_sizes_have_a_second_instance(self_hosted, self_hosted_medium):
    classes = [each["instanceClass"] for each in self_hosted.of("docdb/clusterInstance")]
    assert classes == ["db.t4g.medium"]
    instances = self_hosted_medium.of("docdb/clusterInstance")
    assert [each["instanceClass"] for each in instances] == ["db.r6g.large"] * 2
    assert len({each["identifier"] for each in instances}) == 2
    assert len({each["availabilityZone"] for each in instances}) == 2
