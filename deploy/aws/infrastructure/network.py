"""The network: public subnets for the load balancer and the way out, private ones for everything else."""

from __future__ import annotations

from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from infrastructure.groups import Group, make_group

VPC_RANGE = "10.42.0.0/16"
ZONES = 2
WEBSERVER_PORT = 3000
CODE_PORT = 4000
POSTGRES_PORT = 5432
AMQPS_PORT = 5671


@dataclass(frozen=True)
class Network:
    """Where things stand. A security group is named after what stands in it."""

    vpc: aws.ec2.Vpc
    public_subnets: list[aws.ec2.Subnet]
    private_subnets: list[aws.ec2.Subnet]
    balancer: Group
    tasks: Group
    database: Group
    broker: Group

    @property
    def private_subnet_ids(self) -> list[pulumi.Output[str]]:
        return [subnet.id for subnet in self.private_subnets]


def make_network(*, nat_gateways: int) -> Network:
    """Make the network over two zones; the private subnets go out through `nat_gateways` of them."""
    vpc = aws.ec2.Vpc(
        "twin",
        cidr_block=VPC_RANGE,
        enable_dns_support=True,
        enable_dns_hostnames=True,
        tags={"Name": "twin"},
    )
    # Everything has a group of its own; what lands in the default one can reach nothing.
    aws.ec2.DefaultSecurityGroup("closed", vpc_id=vpc.id, ingress=[], egress=[])
    zones = aws.get_availability_zones_output(state="available").names
    gateway = aws.ec2.InternetGateway("out", vpc_id=vpc.id)
    public = [_subnet("public", number, vpc, zones) for number in range(ZONES)]
    private = [_subnet("private", number, vpc, zones) for number in range(ZONES)]
    _routes("public", vpc, public, [gateway] * ZONES, key="gateway_id")
    nats = [_nat(number, public[number], after=gateway) for number in range(nat_gateways)]
    ways = [nats[number % len(nats)] for number in range(ZONES)]
    _s3_endpoint(vpc, _routes("private", vpc, private, ways, key="nat_gateway_id"))
    return Network(vpc, public, private, **_groups(vpc))


def _subnet(kind: str, number: int, vpc: aws.ec2.Vpc, zones: pulumi.Output) -> aws.ec2.Subnet:
    third = number + (100 if kind == "private" else 0)
    return aws.ec2.Subnet(
        f"{kind}-{number}",
        vpc_id=vpc.id,
        cidr_block=f"10.42.{third}.0/24",
        availability_zone=zones.apply(lambda names: names[number]),
        map_public_ip_on_launch=False,
        tags={"Name": f"twin-{kind}-{number}"},
    )


def _nat(number: int, subnet: aws.ec2.Subnet, *, after: pulumi.Resource) -> aws.ec2.NatGateway:
    options = pulumi.ResourceOptions(depends_on=[after])
    address = aws.ec2.Eip(f"nat-{number}", domain="vpc", opts=options)
    return aws.ec2.NatGateway(f"nat-{number}", subnet_id=subnet.id, allocation_id=address.id, opts=options)


def _routes(
    kind: str, vpc: aws.ec2.Vpc, subnets: list[aws.ec2.Subnet], ways: list[pulumi.CustomResource], *, key: str
) -> list[pulumi.Output[str]]:
    """Route each subnet through its way out; return the ids of the route tables."""
    tables = []
    for number, (subnet, way) in enumerate(zip(subnets, ways, strict=True)):
        table = aws.ec2.RouteTable(
            f"{kind}-{number}", vpc_id=vpc.id, routes=[{"cidr_block": "0.0.0.0/0", key: way.id}]
        )
        aws.ec2.RouteTableAssociation(f"{kind}-{number}", subnet_id=subnet.id, route_table_id=table.id)
        tables.append(table.id)
    return tables


def _s3_endpoint(vpc: aws.ec2.Vpc, tables: list[pulumi.Output[str]]) -> None:
    """Have the layers of images, which lie in S3, come in without the NAT's price for each gigabyte."""
    region = aws.get_region_output().region
    aws.ec2.VpcEndpoint(
        "s3",
        vpc_id=vpc.id,
        service_name=pulumi.Output.concat("com.amazonaws.", region, ".s3"),
        vpc_endpoint_type="Gateway",
        route_table_ids=tables,
    )


def _groups(vpc: aws.ec2.Vpc) -> dict[str, Group]:
    names = ("balancer", "tasks", "database", "broker")
    groups = {name: make_group(vpc, name) for name in names}
    balancer, tasks = groups["balancer"], groups["tasks"]
    for port in (80, 443):
        balancer.admit_anyone(port)
    balancer.reach(tasks, WEBSERVER_PORT)
    tasks.reach(tasks, CODE_PORT)
    tasks.reach(groups["database"], POSTGRES_PORT)
    tasks.reach(groups["broker"], AMQPS_PORT)
    # AWS's own services are outside of the network; the load balancer asks the login there.
    tasks.reach_anywhere(443, 443)
    balancer.reach_anywhere(443, 443)
    return groups
