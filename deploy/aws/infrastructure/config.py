"""What a stack may set, checked before anything is made; a wrong value is one line that says what to do."""

from __future__ import annotations

import re
from dataclasses import dataclass

import pulumi

from infrastructure.choices import (
    DocumentDb,
    MongodbByUrl,
    QdrantByUrl,
    QdrantOnEcs,
    read_mongodb,
    read_qdrant,
)
from infrastructure.sizes import SIZES, Size
from infrastructure.values import between, matching, one_of

QUEUES = 8
_HOST_NAME = re.compile(r"[a-z0-9-]+(\.[a-z0-9-]+)+")
_EMAIL = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+")
_REPOSITORY = re.compile(r"[\w.-]+/[\w.-]+")
_CERTIFICATE = re.compile(r"arn:aws[\w-]*:acm:[\w-]+:\d{12}:certificate/[\w-]+")
_COMMIT = re.compile(r"[0-9a-f]{40}")


@dataclass(frozen=True)
class StackConfig:
    """A stack's values, in the types that the program needs."""

    host_name: str
    certificate_arn: str
    admin_email: str
    image_tag: str
    github_repository: str
    size: Size
    stream_replicas: int
    stream_replicas_max: int
    log_days: int
    mongodb: MongodbByUrl | DocumentDb
    qdrant: QdrantByUrl | QdrantOnEcs


def read_config(config: pulumi.Config) -> StackConfig:
    """Return the values. Raises ConfigError, and pulumi's own error for one that is missing."""
    size = SIZES[one_of(config, "size", "small", *SIZES)]
    return StackConfig(
        host_name=matching(config, "hostName", _HOST_NAME, "a DNS name, such as twin.example.org"),
        certificate_arn=matching(config, "certificateArn", _CERTIFICATE, "the ARN of a certificate in ACM"),
        admin_email=matching(config, "adminEmail", _EMAIL, "an e-mail address"),
        image_tag=matching(config, "imageTag", _COMMIT, "the commit that was pushed, 40 hex digits"),
        github_repository=matching(config, "githubRepository", _REPOSITORY, "owner/name"),
        size=size,
        stream_replicas=between(config, "streamReplicas", 1, low=1, high=QUEUES),
        stream_replicas_max=between(config, "streamReplicasMax", 0, low=0, high=QUEUES),
        log_days=between(config, "logDays", 30, low=1, high=3653),
        mongodb=read_mongodb(config),
        qdrant=read_qdrant(config, size),
    )
