"""Who may do what: each task has a role for what ECS does to start it, and one for what it does itself."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pulumi
import pulumi_aws as aws

from infrastructure.secrets import Secret

PATH = "/twin/"
ECS_TASKS = "ecs-tasks.amazonaws.com"


@dataclass(frozen=True)
class TaskRoles:
    """What one kind of task runs with."""

    execution: aws.iam.Role
    task: aws.iam.Role


def make_task_roles(
    name: str,
    *,
    logs: aws.cloudwatch.LogGroup,
    secrets: Sequence[Secret],
    repository: aws.ecr.Repository | None = None,
) -> TaskRoles:
    """Make the roles of one kind of task, which may read the secrets that it is given, and no others.

    Without a repository its image is public.
    """
    execution = make_role(f"{name}-execution", ECS_TASKS)
    statements = pulumi.Output.all(
        repository=repository.arn if repository else None,
        logs=logs.arn,
        secrets=pulumi.Output.all(*[secret.arn for secret in secrets]),
    ).apply(lambda arns: _execution_statements(**arns))
    attach(f"{name}-execution", execution, statements)
    return TaskRoles(execution, make_role(f"{name}-task", ECS_TASKS))


def allow_launching(
    name: str, launcher: aws.iam.Role, *, cluster: aws.ecs.Cluster, family: str, run: TaskRoles
) -> None:
    """Let a task launch, watch and stop runs: of one definition, in one cluster, with the runs' roles."""
    account, region = aws.get_caller_identity_output().account_id, aws.get_region_output().region
    statements = pulumi.Output.all(
        cluster=cluster.arn,
        ecs=pulumi.Output.concat("arn:aws:ecs:", region, ":", account),
        cluster_name=cluster.name,
        execution=run.execution.arn,
        task=run.task.arn,
    ).apply(lambda found: _launching_statements(found, family=family))
    attach(f"{name}-launching", launcher, statements)


def trust_github(name: str, provider: aws.iam.OpenIdConnectProvider, *, subject: str) -> aws.iam.Role:
    """Make a role for workflows of GitHub: of one repository, and there of one ref or environment."""
    statement = provider.arn.apply(
        lambda arn: {
            "Effect": "Allow",
            "Principal": {"Federated": arn},
            "Action": "sts:AssumeRoleWithWebIdentity",
            "Condition": {
                "StringEquals": {
                    "token.actions.githubusercontent.com:aud": "sts.amazonaws.com",
                    "token.actions.githubusercontent.com:sub": subject,
                }
            },
        }
    )
    document = statement.apply(lambda found: _document([found]))
    return aws.iam.Role(name, name=f"twin-{name}", path=PATH, assume_role_policy=document)


def attach(name: str, role: aws.iam.Role, statements: pulumi.Input[list[dict[str, Any]]]) -> None:
    """Give a role a policy of its own."""
    document = pulumi.Output.from_input(statements).apply(_document)
    aws.iam.RolePolicy(name, role=role.id, policy=document)


def allow(
    actions: list[str], resources: list[str], condition: dict[str, Any] | None = None
) -> dict[str, Any]:
    """Return a statement of a policy."""
    statement: dict[str, Any] = {"Effect": "Allow", "Action": actions, "Resource": resources}
    return statement | ({"Condition": condition} if condition else {})


def make_role(name: str, service: str) -> aws.iam.Role:
    """Make a role that one of AWS's services takes on."""
    trust = {"Effect": "Allow", "Principal": {"Service": service}, "Action": "sts:AssumeRole"}
    return aws.iam.Role(name, name=f"twin-{name}", path=PATH, assume_role_policy=_document([trust]))


def _document(statements: list[dict[str, Any]]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": statements})


def _execution_statements(repository: str | None, logs: str, secrets: Sequence[str]) -> list[dict[str, Any]]:
    pulling = [
        # AWS gives this one no resource to name.
        allow(["ecr:GetAuthorizationToken"], ["*"]),
        allow(["ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"], [repository]),
    ]
    return [
        *(pulling if repository else []),
        allow(["logs:CreateLogStream", "logs:PutLogEvents"], [f"{logs}:*"]),
        allow(["secretsmanager:GetSecretValue"], list(secrets)),
    ]


def _launching_statements(arns: dict[str, str], *, family: str) -> list[dict[str, Any]]:
    tasks = f"{arns['ecs']}:task/{arns['cluster_name']}/*"
    definitions = f"{arns['ecs']}:task-definition/{family}:*"
    in_cluster = {"ArnEquals": {"ecs:cluster": arns["cluster"]}}
    to_tasks = {"StringEquals": {"iam:PassedToService": ECS_TASKS}}
    return [
        allow(["ecs:RunTask"], [definitions], in_cluster),
        allow(["ecs:DescribeTasks", "ecs:StopTask"], [tasks], in_cluster),
        # The launcher tags a task with its run while it starts it, and never afterwards.
        allow(["ecs:TagResource"], [tasks], {"StringEquals": {"ecs:CreateAction": "RunTask"}}),
        allow(["iam:PassRole"], [arns["execution"], arns["task"]], to_tasks),
        # AWS gives these no resource to name; both only read.
        allow(["ecs:DescribeTaskDefinition", "ec2:DescribeNetworkInterfaces"], ["*"]),
    ]
