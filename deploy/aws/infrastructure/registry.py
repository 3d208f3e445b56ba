"""Where the images are kept: tags are commits, and a tag never changes."""

from __future__ import annotations

import json

import pulumi_aws as aws

KEPT_IMAGES = 20


def make_registry() -> aws.ecr.Repository:
    """Make a repository that scans what is pushed and forgets all but the newest images."""
    repository = aws.ecr.Repository(
        "twin-assets",
        name="twin-assets",
        image_tag_mutability="IMMUTABLE",
        image_scanning_configuration={"scan_on_push": True},
        encryption_configurations=[{"encryption_type": "KMS"}],
    )
    rule = {
        "rulePriority": 1,
        "selection": {"tagStatus": "any", "countType": "imageCountMoreThan", "countNumber": KEPT_IMAGES},
        "action": {"type": "expire"},
    }
    aws.ecr.LifecyclePolicy("twin-assets", repository=repository.name, policy=json.dumps({"rules": [rule]}))
    return repository
