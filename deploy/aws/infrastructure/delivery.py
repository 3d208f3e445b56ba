"""What GitHub's workflows may do here: short-lived roles by OIDC, and no key that could leak."""

from __future__ import annotations

from typing import Any

import pulumi
import pulumi_aws as aws

from infrastructure.roles import PATH, attach, trust_github

ISSUER = "https://token.actions.githubusercontent.com"
ENVIRONMENT = "production"
POWER_USER = "arn:aws:iam::aws:policy/PowerUserAccess"
READ_ONLY = "arn:aws:iam::aws:policy/ReadOnlyAccess"
PUSH_ACTIONS = [
    "ecr:BatchCheckLayerAvailability",
    "ecr:BatchGetImage",
    "ecr:CompleteLayerUpload",
    "ecr:DescribeImages",
    "ecr:GetDownloadUrlForLayer",
    "ecr:InitiateLayerUpload",
    "ecr:PutImage",
    "ecr:UploadLayerPart",
]
ROLE_ACTIONS = [
    "iam:AttachRolePolicy",
    "iam:CreateRole",
    "iam:DeleteRole",
    "iam:DeleteRolePolicy",
    "iam:DetachRolePolicy",
    "iam:GetRole",
    "iam:GetRolePolicy",
    "iam:ListAttachedRolePolicies",
    "iam:ListInstanceProfilesForRole",
    "iam:ListRolePolicies",
    "iam:PassRole",
    "iam:PutRolePolicy",
    "iam:TagRole",
    "iam:UpdateAssumeRolePolicy",
    "iam:UpdateRole",
]
PROFILE_ACTIONS = [
    "iam:AddRoleToInstanceProfile",
    "iam:CreateInstanceProfile",
    "iam:DeleteInstanceProfile",
    "iam:GetInstanceProfile",
    "iam:RemoveRoleFromInstanceProfile",
    "iam:TagInstanceProfile",
]


def make_delivery(github_repository: str, repository: aws.ecr.Repository) -> dict[str, pulumi.Output[str]]:
    """Make three roles for one repository of GitHub; return their ARNs by what they are for.

    `push` puts images into the registry and is for main alone; `preview` reads and is for pull requests;
    `deploy` changes everything but the accounts' other roles, and is for the environment `production`, whose
    reviewers and branches GitHub's settings name.
    """
    provider = aws.iam.OpenIdConnectProvider("github", url=ISSUER, client_id_lists=["sts.amazonaws.com"])
    of_repository = f"repo:{github_repository}"
    push = trust_github("push", provider, subject=f"{of_repository}:ref:refs/heads/main")
    attach("push", push, repository.arn.apply(_push_statements))
    preview = trust_github("preview", provider, subject=f"{of_repository}:pull_request")
    aws.iam.RolePolicyAttachment("preview", role=preview.name, policy_arn=READ_ONLY)
    deploy = trust_github("deploy", provider, subject=f"{of_repository}:environment:{ENVIRONMENT}")
    aws.iam.RolePolicyAttachment("deploy", role=deploy.name, policy_arn=POWER_USER)
    account = aws.get_caller_identity_output().account_id
    attach("deploy", deploy, account.apply(_role_statements))
    return {"push": push.arn, "preview": preview.arn, "deploy": deploy.arn}


def _push_statements(repository: str) -> list[dict[str, Any]]:
    return [
        # AWS gives this one no resource to name.
        {"Effect": "Allow", "Action": ["ecr:GetAuthorizationToken"], "Resource": ["*"]},
        {"Effect": "Allow", "Action": PUSH_ACTIONS, "Resource": [repository]},
    ]


def _role_statements(account: str) -> list[dict[str, Any]]:
    provider = f"arn:aws:iam::{account}:oidc-provider/token.actions.githubusercontent.com"
    profiles = f"arn:aws:iam::{account}:instance-profile{PATH}*"
    return [
        {"Effect": "Allow", "Action": ROLE_ACTIONS, "Resource": [f"arn:aws:iam::{account}:role{PATH}*"]},
        {"Effect": "Allow", "Action": PROFILE_ACTIONS, "Resource": [profiles]},
        {"Effect": "Allow", "Action": ["iam:GetOpenIDConnectProvider"], "Resource": [provider]},
    ]
