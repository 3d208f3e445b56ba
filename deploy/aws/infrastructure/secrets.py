"""What must not be read: in Secrets Manager, one secret per environment variable."""

from __future__ import annotations

from dataclasses import dataclass

import pulumi
import pulumi_aws as aws
import pulumi_random as random

RECOVERY_DAYS = 7


@dataclass(frozen=True)
class Secret:
    """One environment variable's value, by the secret's ARN."""

    variable: str
    arn: pulumi.Output[str]

    def reference(self) -> dict[str, pulumi.Output[str] | str]:
        """Return it as a container definition asks for it."""
        return {"name": self.variable, "valueFrom": self.arn}


def make_secret(variable: str, value: pulumi.Input[str]) -> Secret:
    """Store a value under the name of the variable that it will be."""
    name = variable.lower().replace("_", "-")
    secret = aws.secretsmanager.Secret(
        name, name_prefix=f"twin/{name}-", recovery_window_in_days=RECOVERY_DAYS
    )
    aws.secretsmanager.SecretVersion(name, secret_id=secret.id, secret_string=value)
    return Secret(variable, secret.arn)


def make_password(name: str) -> pulumi.Output[str]:
    """Return a password of letters and digits, which needs no quoting in any URL."""
    return pulumi.Output.secret(random.RandomPassword(name, length=40, special=False).result)
