"""What somebody is woken for, and where: every alarm goes to one topic.

Capture's markers are its heartbeat: some each second go through the broker however little people write. The
broker's own figures therefore tell of both long runs, whatever state Dagster is in.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pulumi
import pulumi_aws as aws

from infrastructure.balancer import Balancer
from infrastructure.broker import Broker
from infrastructure.config import QUEUES
from infrastructure.database import Database
from infrastructure.source import Source
from infrastructure.store import Store

DEAD_QUEUE = "twin.dead"
WAITING = 1000
GIB = 2**30
ABOVE = {
    "comparison_operator": "GreaterThanThreshold",
    "statistic": "Minimum",
    "treat_missing_data": "notBreaching",
}
BELOW = {
    "comparison_operator": "LessThanThreshold",
    "statistic": "Maximum",
    "treat_missing_data": "breaching",
}

Dimensions = Mapping[str, pulumi.Input[str]]


def make_alarms(*, email: str, broker: Broker, database: Database, balancer: Balancer) -> aws.sns.Topic:
    """Make the topic, whose one subscriber has to confirm, and the alarms."""
    topic = aws.sns.Topic("alarms", kms_master_key_id="alias/aws/sns")
    aws.sns.TopicSubscription("operator", topic=topic.arn, protocol="email", endpoint=email)
    of_broker = {"Broker": broker.name}
    of_dead = of_broker | {"VirtualHost": "/", "Queue": DEAD_QUEUE}
    mq = _Alarms("AWS/AmazonMQ", topic)
    mq.above(
        "dead-letters", "MessageCount", of_dead, 0, minutes=5, why="a document was refused: twin dead-letters"
    )
    mq.above(
        "lag", "MessageReadyCount", of_broker, WAITING, minutes=15, why="the stream is behind: twin status"
    )
    mq.below(
        "stream-gone",
        "ConsumerCount",
        of_broker,
        QUEUES,
        minutes=10,
        why="queues without a stream: twin status",
    )
    mq.below(
        "capture-gone", "PublishRate", of_broker, 0.1, minutes=10, why="no heartbeat of capture: twin status"
    )
    rds = _Alarms("AWS/RDS", topic)
    of_database = {"DBInstanceIdentifier": database.instance.identifier}
    rds.below(
        "database-storage", "FreeStorageSpace", of_database, 2 * GIB, minutes=15, why="Postgres fills up"
    )
    alb = _Alarms("AWS/ApplicationELB", topic)
    of_target = {
        "LoadBalancer": balancer.balancer.arn_suffix,
        "TargetGroup": balancer.target.arn_suffix,
    }
    alb.below("ui-gone", "HealthyHostCount", of_target, 1, minutes=10, why="the webserver does not answer")
    return topic


def watch_servers(topic: aws.sns.Topic, *, cluster: aws.ecs.Cluster, source: Source, store: Store) -> None:
    """Make the alarms of those servers that this program runs: DocumentDB and Qdrant, as the stack chose."""
    for number, instance in enumerate(source.instances):
        docdb = _Alarms("AWS/DocDB", topic)
        of = {"DBInstanceIdentifier": instance.identifier}
        docdb.above(f"documentdb-cpu-{number}", "CPUUtilization", of, 90, minutes=15, why="a larger size")
        docdb.below(
            f"documentdb-disk-{number}",
            "FreeLocalStorage",
            of,
            GIB,
            minutes=15,
            why="DocumentDB's room for sorting and logs fills up: a larger size",
        )
    if store.host and store.service:
        ec2 = _Alarms("AWS/EC2", topic)
        of_host = {"InstanceId": store.host.id}
        ec2.above(
            "qdrant-host", "StatusCheckFailed", of_host, 0, minutes=5, why="the machine of Qdrant is not well"
        )
        insights = _Alarms("ECS/ContainerInsights", topic)
        of_service = {"ClusterName": cluster.name, "ServiceName": store.service.name}
        insights.below(
            "qdrant-gone",
            "RunningTaskCount",
            of_service,
            1,
            minutes=5,
            why="no Qdrant runs: its log in /twin",
        )


class _Alarms:
    """Alarms on one namespace, each of which rings when every minute of some was on the wrong side."""

    def __init__(self, namespace: str, topic: aws.sns.Topic) -> None:
        self._namespace = namespace
        self._topic = topic

    def above(self, name: str, metric: str, of: Dimensions, limit: float, **fields: Any) -> None:
        """Ring above a limit. A queue that does not report is not there, or empty."""
        self._make(name, limit, fields, metric_name=metric, dimensions=of, **ABOVE)

    def below(self, name: str, metric: str, of: Dimensions, limit: float, **fields: Any) -> None:
        """Ring below a limit. Who does not report is not well."""
        self._make(name, limit, fields, metric_name=metric, dimensions=of, **BELOW)

    def _make(self, name: str, limit: float, fields: dict[str, Any], **watched: Any) -> None:
        aws.cloudwatch.MetricAlarm(
            name,
            name=f"twin-{name}",
            alarm_description=fields["why"],
            namespace=self._namespace,
            period=60,
            evaluation_periods=fields["minutes"],
            threshold=limit,
            alarm_actions=[self._topic.arn],
            ok_actions=[self._topic.arn],
            **watched,
        )
