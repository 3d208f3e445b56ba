"""MongoDB as the tasks see it, whichever choice a stack has made."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import pulumi
import pulumi_aws as aws


@dataclass(frozen=True)
class Source:
    """Where the documents are: a URL with the password in it, settings beside it, certificates by name.

    Where there is an admin's URL, somebody has to prepare MongoDB with it once.
    """

    url: pulumi.Output[str]
    settings: Mapping[str, pulumi.Input[str]] = field(default_factory=dict)
    files: Mapping[str, pulumi.Input[str]] = field(default_factory=dict)
    admin_url: pulumi.Output[str] | None = None
    instances: list[aws.docdb.ClusterInstance] = field(default_factory=list)
    outputs: Mapping[str, pulumi.Input] = field(default_factory=dict)
