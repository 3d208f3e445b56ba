"""Qdrant as the tasks see it, whichever choice a stack has made."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import pulumi
import pulumi_aws as aws

from infrastructure.secrets import Secret


@dataclass(frozen=True)
class Store:
    """Where the features are: settings, the secret of its key, certificates by name.

    A host and a service are there where this program runs it.
    """

    settings: Mapping[str, pulumi.Input[str]]
    secret: Secret
    files: Mapping[str, pulumi.Input[str]] = field(default_factory=dict)
    host: aws.ec2.Instance | None = None
    service: aws.ecs.Service | None = None
    outputs: Mapping[str, pulumi.Input] = field(default_factory=dict)
