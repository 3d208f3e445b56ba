"""Security groups: who reaches whom, one rule at a time; what no rule names is not reached."""

from __future__ import annotations

from dataclasses import dataclass

import pulumi
import pulumi_aws as aws


@dataclass(frozen=True)
class Group:
    """A security group, named after what stands in it."""

    name: str
    made: aws.ec2.SecurityGroup

    @property
    def id(self) -> pulumi.Output[str]:
        return self.made.id

    def admit_anyone(self, port: int) -> None:
        """Let the whole internet in at a port."""
        aws.vpc.SecurityGroupIngressRule(
            f"anywhere-{port}", security_group_id=self.id, cidr_ipv4="0.0.0.0/0", **_ports(port, port)
        )

    def reach_anywhere(self, low: int, high: int) -> None:
        """Let it out to the whole internet at some ports."""
        aws.vpc.SecurityGroupEgressRule(
            f"{self.name}-out-{low}", security_group_id=self.id, cidr_ipv4="0.0.0.0/0", **_ports(low, high)
        )

    def reach(self, target: Group, port: int) -> None:
        """Let it out to another group's port, and in there."""
        name = f"{self.name}-{target.name}-{port}"
        aws.vpc.SecurityGroupIngressRule(
            name, security_group_id=target.id, referenced_security_group_id=self.id, **_ports(port, port)
        )
        aws.vpc.SecurityGroupEgressRule(
            name, security_group_id=self.id, referenced_security_group_id=target.id, **_ports(port, port)
        )


def make_group(vpc: aws.ec2.Vpc, name: str) -> Group:
    """Make a group that nobody reaches, and that reaches nobody."""
    return Group(name, aws.ec2.SecurityGroup(name, vpc_id=vpc.id, description=f"twin {name}"))


def _ports(low: int, high: int) -> dict[str, int | str]:
    return {"ip_protocol": "tcp", "from_port": low, "to_port": high}
