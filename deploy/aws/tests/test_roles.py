"""Least privilege: what is named is all that is allowed, and where nothing can be named, it only reads."""

from __future__ import annotations

# AWS knows no resource for these.
UNNAMED = {"ecr:GetAuthorizationToken", "ecs:DescribeTaskDefinition", "ec2:DescribeNetworkInterfaces"}


def policies(declared):
    return {policy.name: policy.document() for policy in declared.of("iam/rolePolicy")}


def test_no_policy_allows_everything_or_on_everything(small):
    for name, statements in policies(small).items():
        for statement in statements:
            assert statement["Effect"] == "Allow"
            assert not any(action.endswith("*") for action in statement["Action"]), name
            if "*" in statement["Resource"]:
                assert set(statement["Action"]) <= UNNAMED, name


def test_a_task_reads_its_own_secrets_only(small):
    def readable(name):
        [found] = [
            statement["Resource"]
            for statement in policies(small)[f"{name}-execution"]
            if statement["Action"] == ["secretsmanager:GetSecretValue"]
        ]
        return {arn.rsplit("/", 1)[1] for arn in found}

    assert readable("webserver") == readable("daemon") == {"dagster-postgres-password"}
    assert readable("run") == readable("code") == {
        "dagster-postgres-password", "twin-mongodb-url", "twin-rabbitmq-url", "twin-qdrant-api-key"
    }  # fmt: skip


def test_runs_and_code_may_do_nothing_at_aws(small):
    owners = {policy["role"] for policy in small.of("iam/rolePolicy")}
    assert not owners & {"run-task-id", "code-task-id"}


def test_webserver_and_daemon_launch_runs_and_nothing_else(small):
    for name in ("webserver", "daemon"):
        statements = {tuple(each["Action"]): each for each in policies(small)[f"{name}-launching"]}
        run = statements[("ecs:RunTask",)]
        assert run["Resource"] == ["arn:aws:ecs:eu-central-1:123456789012:task-definition/twin-run:*"]
        assert run["Condition"]["ArnEquals"]["ecs:cluster"].endswith("/twin")
        passed = statements[("iam:PassRole",)]
        assert {arn.rsplit("/", 1)[1] for arn in passed["Resource"]} == {"run-execution", "run-task"}
        assert passed["Condition"] == {"StringEquals": {"iam:PassedToService": "ecs-tasks.amazonaws.com"}}
        tagged = statements["ecs:TagResource",]
        assert tagged["Resource"] == ["arn:aws:ecs:eu-central-1:123456789012:task/twin/*"]
        assert tagged["Condition"] == {"StringEquals": {"ecs:CreateAction": "RunTask"}}
        actions = {action for each in statements for action in each}
        assert "ecs:RegisterTaskDefinition" not in actions


def test_github_gets_roles_by_repository_and_place_and_no_keys(small):
    subjects = {
        role.name: role.document("assumeRolePolicy")[0]["Condition"]["StringEquals"]
        for role in small.of("iam/role")
        if role.name in ("push", "preview", "deploy")
    }
    key = "token.actions.githubusercontent.com"
    assert {name: found[f"{key}:sub"] for name, found in subjects.items()} == {
        "push": "repo:example/twin_assets:ref:refs/heads/main",
        "preview": "repo:example/twin_assets:pull_request",
        "deploy": "repo:example/twin_assets:environment:production",
    }
    assert {found[f"{key}:aud"] for found in subjects.values()} == {"sts.amazonaws.com"}
    assert not [each for each in small.all if each.type.startswith(("iam/accessKey", "iam/user"))]


def test_pushing_reaches_one_repository(small):
    [statement] = [each for each in policies(small)["push"] if "ecr:PutImage" in each["Action"]]
    assert [arn.rsplit("/", 1)[1] for arn in statement["Resource"]] == ["twin-assets"]


def test_deploying_changes_the_roles_of_this_system_only(small):
    resources = {resource for each in policies(small)["deploy"] for resource in each["Resource"]}
    assert resources == {
        "arn:aws:iam::123456789012:role/twin/*",
        "arn:aws:iam::123456789012:oidc-provider/token.actions.githubusercontent.com",
    }
    paths = {role.name: role["path"] for role in small.of("iam/role")}
    assert set(paths.values()) == {"/twin/"}
    attached = {each["role"]: each["policyArn"] for each in small.of("iam/rolePolicyAttachment")}
    assert not any(arn.endswith("AdministratorAccess") for arn in attached.values())
