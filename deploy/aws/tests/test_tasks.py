"""The tasks: healthy or taken back, and no secret in plain text."""

from __future__ import annotations

import json

from tests.conftest import MONGODB_URL, PASSWORD, QDRANT_KEY, opened

SECRETS = {"DAGSTER_POSTGRES_PASSWORD", "TWIN_MONGODB_URL", "TWIN_RABBITMQ_URL", "TWIN_QDRANT_API_KEY"}


def test_no_secret_is_anywhere_but_in_its_secret_and_at_its_server(small):
    allowed = {"secretsmanager/secretVersion", "rds/instance", "mq/broker", "index/randomPassword"}
    for each in small.all:
        if each.type.split(":")[0] not in allowed:
            text = json.dumps(each.inputs, default=str)
            for secret in (MONGODB_URL, "mongo-secret", QDRANT_KEY, PASSWORD):
                assert secret not in text, each.name
    values = {each.name: each["secretString"] for each in small.of("secretsmanager/secretVersion")}
    assert opened(values["twin-rabbitmq-url"]) == f"amqps://twin:{PASSWORD}@b-1.mq.example.org:5671/%2F"
    assert opened(values["twin-mongodb-url"]) == MONGODB_URL
    assert opened(values["twin-qdrant-api-key"]) == QDRANT_KEY


def test_each_task_gets_the_secrets_that_it_needs_and_no_others(small):
    given = {
        name: {each["name"] for each in container["secrets"]}
        for name, container in small.containers().items()
    }
    assert given == {
        "run": SECRETS,
        "code": SECRETS,
        "webserver": {"DAGSTER_POSTGRES_PASSWORD"},
        "daemon": {"DAGSTER_POSTGRES_PASSWORD"},
    }
    for container in small.containers().values():
        assert all(each["valueFrom"].startswith("arn:") for each in container["secrets"])


def test_every_service_is_watched_and_a_bad_deployment_taken_back(small):
    services = {service.name: service for service in small.of("ecs/service")}
    assert set(services) == {"webserver", "daemon", "code"}
    for service in services.values():
        assert service["deploymentCircuitBreaker"] == {"enable": True, "rollback": True}
        assert (service["deploymentMinimumHealthyPercent"], service["deploymentMaximumPercent"]) == (0, 100)
        assert service["enableExecuteCommand"] is False
        assert service["desiredCount"] == 1
    containers = small.containers()
    assert all(containers[name]["healthCheck"]["command"][0] == "CMD" for name in services)
    assert "healthCheck" not in containers["run"], "a run is watched by Dagster"
    [balancer] = services["webserver"]["loadBalancers"]
    assert balancer["containerPort"] == containers["webserver"]["portMappings"][0]["containerPort"] == 3000
    assert services["code"]["serviceRegistries"]["registryArn"].endswith("/code")


def test_every_container_runs_the_pushed_commit_logs_and_has_time_to_end(small):
    for name, container in small.containers().items():
        assert container["image"].endswith(":0123456789abcdef0123456789abcdef01234567")
        assert container["logConfiguration"]["options"]["awslogs-group"] == "/twin"
        assert container["stopTimeout"] == 90
        assert container["linuxParameters"]["capabilities"] == {"drop": ["ALL"]}, name


def test_replicas_and_sizes_come_from_the_configuration(small, medium):
    def environment(declared, name):
        return {each["name"]: each["value"] for each in declared.containers()[name]["environment"]}

    assert environment(small, "code")["TWIN_STREAM_REPLICAS"] == "1"
    assert environment(medium, "code")["TWIN_STREAM_REPLICAS"] == "4"
    assert environment(medium, "run")["TWIN_STREAM_REPLICAS"] == "4"
    assert environment(small, "code")["TWIN_STREAM_REPLICAS_MAX"] == "0"
    assert medium.one("ecs/taskDefinition", "run")["cpu"] == "2048"
    run = small.one("ecs/taskDefinition", "run")
    assert environment(small, "daemon")["TWIN_RUN_TASK_DEFINITION"] == f"arn:aws:mock:::{run.type}/run"
    assert run["family"] == "twin-run"


def test_alarms_ring_for_lag_dead_letters_and_a_lost_heartbeat(small):
    alarms = {alarm.name: alarm for alarm in small.of("cloudwatch/metricAlarm")}
    assert set(alarms) == {
        "dead-letters", "lag", "stream-gone", "capture-gone", "database-storage", "ui-gone"
    }  # fmt: skip
    assert alarms["dead-letters"]["dimensions"]["Queue"] == "twin.dead"
    assert alarms["stream-gone"]["threshold"] == 8, "one consumer per queue"
    assert alarms["capture-gone"]["treatMissingData"] == "breaching"
    [topic] = small.of("sns/topic")
    [subscription] = small.of("sns/topicSubscription")
    assert subscription["endpoint"] == "operator@example.org"
    for alarm in alarms.values():
        assert alarm["alarmActions"] == [f"arn:aws:mock:::{topic.type}/alarms"]
        assert alarm["alarmDescription"]
