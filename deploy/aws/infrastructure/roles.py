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
    name: str, *, repository: aws.ecr.Repository, logs: aws.cloudwatch.LogGroup, secrets: Sequence[Secret]
) -> TaskRoles:
    """Make the roles of one kind of task, which may read the secrets that it is given, and no others."""
    execution = _role(f"{name}-execution", ECS_TASKS)
    statements = pulumi.Output.all(repository.arn, logs.arn, *[secret.arn for secret in secrets]).apply(
        lambda arns: _execution_statements(arns[0], arns[1], arns[2:])
    )
    _policy(f"{name}-execution", execution, statements)
    return TaskRoles(execution, _role(f"{name}-task", ECS_TASKS))


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
    _policy(f"{name}-launching", launcher, statements)


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
    _policy(name, role, pulumi.Output.from_input(statements))


def _role(name: str, service: str) -> aws.iam.Role:
    trust = {"Effect": "Allow", "Principal": {"Service": service}, "Action": "sts:AssumeRole"}
    return aws.iam.Role(name, name=f"twin-{name}", path=PATH, assume_role_policy=_document([trust]))


def _policy(name: str, role: aws.iam.Role, statements: pulumi.Output[list[dict[str, Any]]]) -> None:
    aws.iam.RolePolicy(name, role=role.id, policy=statements.apply(_document))


def _document(statements: list[dict[str, Any]]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": statements})


def _execution_statements(repository: str, logs: str, secrets: Sequence[str]) -> list[dict[str, Any]]:
    return [
        # AWS gives this one no resource to name.
        _allow(["ecr:GetAuthorizationToken"], ["*"]),
        _allow(["ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"], [repository]),
        _allow(["logs:CreateLogStream", "logs:PutLogEvents"], [f"{logs}:*"]),
        _allow(["secretsmanager:GetSecretValue"], list(secrets)),
    ]


def _launching_statements(arns: dict[str, str], *, family: str) -> list[dict[str, Any]]:
    tasks = f"{arns['ecs']}:task/{arns['cluster_name']}/*"
    definitions = f"{arns['ecs']}:task-definition/{family}:*"
    in_cluster = {"ArnEquals": {"ecs:cluster": arns["cluster"]}}
    to_tasks = {"StringEquals": {"iam:PassedToService": ECS_TASKS}}
    return [
        _allow(["ecs:RunTask"], [definitions], in_cluster),
        _allow(["ecs:DescribeTasks", "ecs:StopTask"], [tasks], in_cluster),
        # The launcher tags a task with its run while it starts it, and never afterwards.
        _allow(["ecs:TagResource"], [tasks], {"StringEquals": {"ecs:CreateAction": "RunTask"}}),
        _allow(["iam:PassRole"], [arns["execution"], arns["task"]], to_tasks),
        # AWS gives these no resource to name; both only read.
        _allow(["ecs:DescribeTaskDefinition", "ec2:DescribeNetworkInterfaces"], ["*"]),
    ]


def _allow(
    actions: list[str], resources: list[str], condition: dict[str, Any] | None = None
) -> dict[str, Any]:
    statement: dict[str, Any] = {"Effect": "Allow", "Action": actions, "Resource": resources}
    return statement | ({"Condition": condition} if condition else {})
