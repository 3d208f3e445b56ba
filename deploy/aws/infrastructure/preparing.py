"""The one-off task that makes a new DocumentDB ready: the tasks' user, and change streams switched on."""

from __future__ import annotations

import pulumi_aws as aws

from infrastructure.roles import make_task_roles
from infrastructure.secrets import Secret, make_secret
from infrastructure.source import Source
from infrastructure.tasks import Place, Task, make_definition


def make_preparing(
    source: Source, url: Secret, place: Place, repository: aws.ecr.Repository
) -> aws.ecs.TaskDefinition | None:
    """Define the task, which alone gets the admin's URL; where there is none, there is nothing to prepare."""
    if source.admin_url is None:
        return None
    secrets = [url, make_secret("TWIN_MONGODB_ADMIN_URL", source.admin_url)]
    roles = make_task_roles("prepare", repository=repository, logs=place.logs, secrets=secrets)
    command = ["twin", "prepare-source"]
    task = Task("prepare", 512, 1024, roles, source.settings, secrets, command, files=source.files)
    return make_definition(place, task)
