"""Least privilege: what is named is all that is allowed, and where nothing can be named, it only reads."""

from __future__ import annotations

# AWS knows no resource for these. All read, but for the first of an agent of ECS, which asks where to call.
UNNAMED = {"ecr:GetAuthorizationToken", "ecs:DescribeTaskDefinition", "ec2:DescribeNetworkInterfaces"}
UNNAMED_OF_QDRANT = {
    "ecs:DiscoverPollEndpoint",
    "ec2:DescribeInstances",
    "ec2:DescribeSnapshots",
    "ec2:DescribeVolumes",
}


def policies(declared):
    return {policy.name: policy.document() for policy in declared.of("iam/rolePolicy")}


def test_no_policy_allows_everything_or_on_everything(declared, is_self_hosted):
    unnamed = set()
    for name, statements in policies(declared).items():
        for statement in statements:
            assert statement["Effect"] == "Allow"
            assert not any("*" in action for action in statement["Action"]), name
            if "*" in statement["Resource"]:
                unnamed |= set(statement["Action"])
            assert not any(resource.startswith("arn:aws:*") for resource in statement["Resource"]), name
    assert unnamed == UNNAMED | (UNNAMED_OF_QDRANT if is_self_hosted else set())


def test_a_task_reads_its_own_secrets_only(declared, is_self_hosted):
    def readable(name):
        [found] = [
            statement["Resource"]
            for statement in policies(declared)[f"{name}-execution"]
            if statement["Action"] == ["secretsmanager:GetSecretValue"]
        ]
        return {arn.rsplit("/", 1)[1] for arn in found}

    assert readable("webserver") == readable("daemon") == {"dagster-postgres-password"}
    assert readable("run") == readable("code") == {
        "dagster-postgres-password", "twin-mongodb-url", "twin-rabbitmq-url", "twin-qdrant-api-key"
    }  # fmt: skip
    if is_self_hosted:
        assert readable("prepare") == {"twin-mongodb-url", "twin-mongodb-admin-url"}
        assert readable("qdrant") == {"twin-qdrant-api-key", "qdrant-read-only-api-key", "qdrant-tls-key"}


def test_only_webserver_and_daemon_may_do_anything_at_aws(declared):
    owners = {policy["role"] for policy in declared.of("iam/rolePolicy")}
    assert {owner for owner in owners if owner.endswith("-task-id")} == {
        "webserver-task-id",
        "daemon-task-id",
    }


def test_the_machine_of_qdrant_may_be_one_of_its_cluster_and_nothing_else(self_hosted):
    statements = policies(self_hosted)["qdrant-host"]
    cluster, instances, anything = statements
    assert [arn.rsplit("/", 1)[1] for arn in cluster["Resource"]] == ["twin"]
    assert instances["Resource"] == ["arn:aws:ecs:eu-central-1:123456789012:container-instance/twin/*"]
    assert anything["Action"] == ["ecs:DiscoverPollEndpoint"]
    assert all(action.startswith("ecs:") for each in statements for action in each["Action"])
    assert not {"ecs:RunTask", "ecs:StartTask"} & {action for each in statements for action in each["Action"]}
    [profile] = self_hosted.of("iam/instanceProfile")
    assert (profile["role"], profile["path"]) == ("twin-qdrant-host", "/twin/")
    attached = {each["role"] for each in self_hosted.of("iam/rolePolicyAttachment")}
    assert attached == {"twin-preview", "twin-deploy"}, "no managed policy, and so no Session Manager"


def test_snapshots_are_made_of_one_volume_and_deleted_only_if_they_are_of_it(self_hosted):
    statements = {tuple(each["Action"]): each for each in policies(self_hosted)["qdrant-snapshots"]}
    [volume] = self_hosted.of("ebs/volume")
    assert statements["ec2:CreateSnapshot",]["Resource"] == [
        f"arn:aws:mock:::{volume.type}/qdrant", "arn:aws:ec2:eu-central-1::snapshot/*"
    ]  # fmt: skip
    deleting = statements["ec2:DeleteSnapshot",]
    assert deleting["Condition"] == {"StringEquals": {"aws:ResourceTag/twin:data": "qdrant"}}
    assert volume["tags"]["twin:data"] == "qdrant"


def test_webserver_and_daemon_launch_runs_and_nothing_else(declared):
    for name in ("webserver", "daemon"):
        statements = {tuple(each["Action"]): each for each in policies(declared)[f"{name}-launching"]}
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


def test_github_gets_roles_by_repository_and_place_and_no_keys(declared):
    subjects = {
        role.name: role.document("assumeRolePolicy")[0]["Condition"]["StringEquals"]
        for role in declared.of("iam/role")
        if role.name in ("push", "preview", "deploy")
    }
    key = "token.actions.githubusercontent.com"
    assert {name: found[f"{key}:sub"] for name, found in subjects.items()} == {
        "push": "repo:example/twin_assets:ref:refs/heads/main",
        "preview": "repo:example/twin_assets:pull_request",
        "deploy": "repo:example/twin_assets:environment:production",
    }
    assert {found[f"{key}:aud"] for found in subjects.values()} == {"sts.amazonaws.com"}
    assert not [each for each in declared.all if each.type.startswith(("iam/accessKey", "iam/user"))]


def test_pushing_reaches_one_repository(declared):
    [statement] = [each for each in policies(declared)["push"] if "ecr:PutImage" in each["Action"]]
    assert [arn.rsplit("/", 1)[1] for arn in statement["Resource"]] == ["twin-assets"]


def test_deploying_changes_the_roles_of_this_system_only(declared):
    resources = {resource for each in policies(declared)["deploy"] for resource in each["Resource"]}
    assert resources == {
        "arn:aws:iam::123456789012:role/twin/*",
        "arn:aws:iam::123456789012:instance-profile/twin/*",
        "arn:aws:iam::123456789012:oidc-provider/token.actions.githubusercontent.com",
    }
    paths = {role.name: role["path"] for role in declared.of("iam/role")}
    assert set(paths.values()) == {"/twin/"}
    attached = {each["role"]: each["policyArn"] for each in declared.of("iam/rolePolicyAttachment")}
    assert not any(arn.endswith("AdministratorAccess") for arn in attached.values())
