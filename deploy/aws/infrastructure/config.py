"""What a stack may set, checked before anything is made; a wrong value is one line that says what to do."""

from __future__ import annotations

import re
from dataclasses import dataclass

import pulumi

QUEUES = 8
_HOST_NAME = re.compile(r"[a-z0-9-]+(\.[a-z0-9-]+)+")
_EMAIL = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+")
_REPOSITORY = re.compile(r"[\w.-]+/[\w.-]+")
_CERTIFICATE = re.compile(r"arn:aws[\w-]*:acm:[\w-]+:\d{12}:certificate/[\w-]+")


class ConfigError(Exception):
    """Raised when a stack's configuration cannot be used; says which value, and what it should be."""


@dataclass(frozen=True)
class Size:
    """What the parts are made of. `run_cpu` are CPU units of 1/1024, memory is in MiB, storage in GiB."""

    run_cpu: int
    run_memory: int
    broker_instance: str
    broker_is_cluster: bool
    database_instance: str
    database_storage: int
    database_has_standby: bool
    nat_gateways: int


SIZES = {
    "small": Size(
        run_cpu=1024,
        run_memory=4096,
        broker_instance="mq.m7g.medium",
        broker_is_cluster=False,
        database_instance="db.t4g.micro",
        database_storage=20,
        database_has_standby=False,
        nat_gateways=1,
    ),
    "medium": Size(
        run_cpu=2048,
        run_memory=4096,
        broker_instance="mq.m7g.large",
        broker_is_cluster=True,
        database_instance="db.t4g.small",
        database_storage=50,
        database_has_standby=True,
        nat_gateways=2,
    ),
    "large": Size(
        run_cpu=4096,
        run_memory=8192,
        broker_instance="mq.m7g.xlarge",
        broker_is_cluster=True,
        database_instance="db.m7g.large",
        database_storage=200,
        database_has_standby=True,
        nat_gateways=2,
    ),
}


@dataclass(frozen=True)
class StackConfig:
    """A stack's values, in the types that the program needs."""

    host_name: str
    certificate_arn: str
    admin_email: str
    qdrant_url: str
    image_tag: str
    github_repository: str
    size: Size
    stream_replicas: int
    stream_replicas_max: int
    log_days: int
    mongodb_url: pulumi.Output[str]
    qdrant_api_key: pulumi.Output[str]


def read_config(config: pulumi.Config) -> StackConfig:
    """Return the values. Raises ConfigError, and pulumi's own error for one that is missing."""
    return StackConfig(
        host_name=_matching(config, "hostName", _HOST_NAME, "a DNS name, such as twin.example.org"),
        certificate_arn=_matching(config, "certificateArn", _CERTIFICATE, "the ARN of a certificate in ACM"),
        admin_email=_matching(config, "adminEmail", _EMAIL, "an e-mail address"),
        qdrant_url=_matching(
            config, "qdrantUrl", re.compile(r"https://[^\s@]+"), "https://…, without a password"
        ),
        image_tag=_matching(
            config, "imageTag", re.compile(r"[0-9a-f]{40}"), "the commit that was pushed, 40 hex digits"
        ),
        github_repository=_matching(config, "githubRepository", _REPOSITORY, "owner/name"),
        size=_size(config.get("size") or "small"),
        stream_replicas=_between(config, "streamReplicas", 1, low=1, high=QUEUES),
        stream_replicas_max=_between(config, "streamReplicasMax", 0, low=0, high=QUEUES),
        log_days=_between(config, "logDays", 30, low=1, high=3653),
        mongodb_url=config.require_secret("mongodbUrl"),
        qdrant_api_key=config.require_secret("qdrantApiKey"),
    )


def _matching(config: pulumi.Config, name: str, pattern: re.Pattern[str], what: str) -> str:
    value = config.require(name)
    if not pattern.fullmatch(value):
        raise ConfigError(f"{name} is {value!r}; set it to {what}: pulumi config set {name} …")
    return value


def _size(name: str) -> Size:
    if name not in SIZES:
        raise ConfigError(f"size is {name!r}; set it to one of {', '.join(SIZES)}: pulumi config set size …")
    return SIZES[name]


def _between(config: pulumi.Config, name: str, default: int, *, low: int, high: int) -> int:
    value = config.get_int(name)
    if value is None:
        return default
    if not low <= value <= high:
        raise ConfigError(f"{name} is {value}; set it to {low} … {high}: pulumi config set {name} …")
    return value
