"""The tasks: healthy or taken back, and no secret in plain text."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from pulumi.runtime.rpc import _special_sig_key

from tests.conftest import MONGODB_URL, QDRANT_KEY, password, private_key

SECRETS = {"DAGSTER_POSTGRES_PASSWORD", "TWIN_MONGODB_URL", "TWIN_RABBITMQ_URL", "TWIN_QDRANT_API_KEY"}
# Servers are told their password, and what signs is told its key.
TOLD = {
    "secretsmanager/secretVersion",
    "rds/instance",
    "mq/broker",
    "docdb/cluster",
    "index/selfSignedCert",
    "index/certRequest",
    "index/locallySignedCert",
}
SHOWN = (MONGODB_URL, "mongo-secret", QDRANT_KEY, password(""), private_key(""))


def texts(value: Any, *, is_secret: bool = False) -> Iterator[tuple[str, bool]]:
    """Yield every text in an input, and whether pulumi's state encrypts it."""
    if isinstance(value, dict):
        for each in value.values():
            yield from texts(each, is_secret=is_secret or _special_sig_key in value)
    elif isinstance(value, list):
        for each in value:
            yield from texts(each, is_secret=is_secret)
    else:
        yield str(value), is_secret


def test_no_secret_is_anywhere_but_in_its_secret_and_at_its_server(declared):
    found = set()
    for each in declared.all:
        for text, is_secret in texts(each.inputs):
            if any(secret in text for secret in SHOWN):
                assert is_secret, each.name
                found.add(each.type.split(":")[0])
    assert {"secretsmanager/secretVersion", "rds/instance", "mq/broker"} <= found <= TOLD
    assert not any(secret in json.dumps(declared.outputs) for secret in SHOWN)


def test_every_secret_is_kept_under_its_name(small, self_hosted):
    kept = small.secrets()
    broker = f"amqps://twin:{password('rabbitmq')}@b-1.mq.example.org:5671/%2F"
    assert kept == {
        "dagster-postgres-password": password("postgres"),
        "twin-rabbitmq-url": broker,
        "twin-mongodb-url": MONGODB_URL,
        "twin-qdrant-api-key": QDRANT_KEY,
    }
    own = self_hosted.secrets()
    assert set(own) - set(kept) == {"twin-mongodb-admin-url", "qdrant-read-only-api-key", "qdrant-tls-key"}
    assert own["twin-qdrant-api-key"] == password("qdrant")
    assert own["qdrant-read-only-api-key"] == password("qdrant-read-only")
    assert own["qdrant-tls-key"] == f"{private_key('qdrant')} pkcs8"


def test_each_task_gets_the_secrets_that_it_needs_and_no_others(declared, is_self_hosted):
    given = {
        name: sorted(each["name"] for each in container["secrets"])
        for name, container in declared.containers().items()
    }
    own = {
        "prepare": {"TWIN_MONGODB_URL", "TWIN_MONGODB_ADMIN_URL"},
        "qdrant": {"QDRANT__SERVICE__API_KEY", "QDRANT__SERVICE__READ_ONLY_API_KEY"},
    }
    expected = {
        "run": SECRETS,
        "code": SECRETS,
        "webserver": {"DAGSTER_POSTGRES_PASSWORD"},
        "daemon": {"DAGSTER_POSTGRES_PASSWORD"},
    } | (own if is_self_hosted else {})
    assert given == {name: sorted(names) for name, names in expected.items()}
    for containers in declared.definitions().values():
        for container in containers:
            assert all(each["valueFrom"].startswith("arn:") for each in container.get("secrets", []))


def test_every_service_is_watched_and_a_bad_deployment_taken_back(declared, is_self_hosted):
    services = {service.name: service for service in declared.of("ecs/service")}
    assert set(services) == {"webserver", "daemon", "code"} | ({"qdrant"} if is_self_hosted else set())
    for service in services.values():
        assert service["deploymentCircuitBreaker"] == {"enable": True, "rollback": True}
        # Never two of them, which for Qdrant would be two on one folder.
        assert (service["deploymentMinimumHealthyPercent"], service["deploymentMaximumPercent"]) == (0, 100)
        assert service["enableExecuteCommand"] is False
        assert service["desiredCount"] == 1
    containers = declared.containers()
    assert all(containers[name]["healthCheck"]["command"][0] == "CMD" for name in services)
    assert "healthCheck" not in containers["run"], "a run is watched by Dagster"
    [balancer] = services["webserver"]["loadBalancers"]
    assert balancer["containerPort"] == containers["webserver"]["portMappings"][0]["containerPort"] == 3000
    assert services["code"]["serviceRegistries"]["registryArn"].endswith("/code")


def test_every_container_runs_the_pushed_commit_logs_and_has_time_to_end(declared):
    for name, containers in declared.definitions().items():
        for container in containers:
            if name != "qdrant":
                assert container["image"].endswith(":0123456789abcdef0123456789abcdef01234567")
            assert container["logConfiguration"]["options"]["awslogs-group"] == "/twin"
            assert container["linuxParameters"]["capabilities"] == {"drop": ["ALL"]}, name
        assert containers[0]["stopTimeout"] >= 90


def test_replicas_and_sizes_come_from_the_configuration(small, medium):
    assert small.environment("code")["TWIN_STREAM_REPLICAS"] == "1"
    assert medium.environment("code")["TWIN_STREAM_REPLICAS"] == "4"
    assert medium.environment("run")["TWIN_STREAM_REPLICAS"] == "4"
    assert small.environment("code")["TWIN_STREAM_REPLICAS_MAX"] == "0"
    assert medium.one("ecs/taskDefinition", "run")["cpu"] == "2048"
    run = small.one("ecs/taskDefinition", "run")
    assert small.environment("daemon")["TWIN_RUN_TASK_DEFINITION"] == f"arn:aws:mock:::{run.type}/run"
    assert run["family"] == "twin-run"


def test_runs_and_code_are_told_where_the_servers_are(small, self_hosted):
    for name in ("run", "code"):
        assert small.environment(name)["TWIN_QDRANT_URL"] == "https://qdrant.example.org:6333"
        assert not {"TWIN_MONGODB_DIALECT", "TWIN_QDRANT_CA_FILE"} & set(small.environment(name))
        own = self_hosted.environment(name)
        assert own["TWIN_QDRANT_URL"] == "https://qdrant.twin.internal:6333"
        assert own["TWIN_QDRANT_CA_FILE"] == "/certificates/qdrant.pem"
        assert own["TWIN_MONGODB_DIALECT"] == "documentdb"


def test_alarms_ring_for_lag_dead_letters_and_a_lost_heartbeat(declared, is_self_hosted):
    alarms = {alarm.name: alarm for alarm in declared.of("cloudwatch/metricAlarm")}
    own = {"documentdb-cpu-0", "documentdb-disk-0", "qdrant-host", "qdrant-gone"}
    assert set(alarms) == {
        "dead-letters", "lag", "stream-gone", "capture-gone", "database-storage", "ui-gone"
    } | (own if is_self_hosted else set())  # fmt: skip
    assert alarms["dead-letters"]["dimensions"]["Queue"] == "twin.dead"
    assert alarms["stream-gone"]["threshold"] == 8, "one consumer per queue"
    assert alarms["capture-gone"]["treatMissingData"] == "breaching"
    [topic] = declared.of("sns/topic")
    [subscription] = declared.of("sns/topicSubscription")
    assert subscription["endpoint"] == "operator@example.org"
    for alarm in alarms.values():
        assert alarm["alarmActions"] == [f"arn:aws:mock:::{topic.type}/alarms"]
        assert alarm["alarmDescription"]


def test_an_alarm_rings_when_no_task_of_qdrant_runs_or_its_machine_is_not_well(self_hosted):
    gone = self_hosted.one("cloudwatch/metricAlarm", "qdrant-gone")
    assert (gone["namespace"], gone["metricName"]) == ("ECS/ContainerInsights", "RunningTaskCount")
    assert gone["dimensions"] == {"ClusterName": "twin", "ServiceName": "twin-qdrant"}
    assert (gone["comparisonOperator"], gone["threshold"]) == ("LessThanThreshold", 1)
    assert gone["treatMissingData"] == "breaching"
    [cluster] = self_hosted.of("ecs/cluster")
    assert cluster["settings"] == [{"name": "containerInsights", "value": "enabled"}]
    host = self_hosted.one("cloudwatch/metricAlarm", "qdrant-host")
    assert (host["metricName"], host["dimensions"]) == ("StatusCheckFailed", {"InstanceId": "qdrant-id"})
