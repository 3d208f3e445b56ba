"""Nothing is public but the load balancer, and nobody reaches what they have no business with."""

from __future__ import annotations

PRIVATE = {"private-0-id", "private-1-id"}


def test_only_the_load_balancer_is_reached_from_anywhere(small):
    rules = small.of("vpc/securityGroupIngressRule")
    open_rules = [rule for rule in rules if "cidrIpv4" in rule.inputs or "cidrIpv6" in rule.inputs]
    assert {(rule["securityGroupId"], rule["fromPort"]) for rule in open_rules} == {
        ("balancer-id", 80), ("balancer-id", 443)
    }  # fmt: skip
    closed = [rule for rule in rules if rule not in open_rules]
    assert {(r["referencedSecurityGroupId"], r["securityGroupId"], r["fromPort"]) for r in closed} == {
        ("balancer-id", "tasks-id", 3000),
        ("tasks-id", "tasks-id", 4000),
        ("tasks-id", "database-id", 5432),
        ("tasks-id", "broker-id", 5671),
    }


def test_no_group_has_rules_of_its_own_and_the_default_one_has_none(small):
    for group in small.of("ec2/securityGroup"):
        assert not group.inputs.get("ingress"), group.name
        assert not group.inputs.get("egress"), group.name
    [default] = small.of("ec2/defaultSecurityGroup")
    assert (default["ingress"], default["egress"]) == ([], [])


def test_everything_else_has_no_public_address(small):
    assert all(not subnet["mapPublicIpOnLaunch"] for subnet in small.of("ec2/subnet"))
    for service in small.of("ecs/service"):
        network = service["networkConfiguration"]
        assert network["assignPublicIp"] is False
        assert set(network["subnets"]) == PRIVATE
        assert network["securityGroups"] == ["tasks-id"]
    for kind in ("rds/instance", "mq/broker"):
        assert all(each["publiclyAccessible"] is False for each in small.of(kind))
    assert set(small.one("rds/subnetGroup", "dagster")["subnetIds"]) == PRIVATE
    [broker] = small.of("mq/broker")
    assert set(broker["subnetIds"]) <= PRIVATE


def test_private_subnets_go_out_through_a_nat_and_public_ones_through_the_gateway(medium):
    tables = {table.name: table["routes"] for table in medium.of("ec2/routeTable")}
    assert all(route["gatewayId"] == "out-id" for name in ("public-0", "public-1") for route in tables[name])
    assert [tables[f"private-{number}"][0]["natGatewayId"] for number in (0, 1)] == ["nat-0-id", "nat-1-id"]
    [endpoint] = medium.of("ec2/vpcEndpoint")
    assert set(endpoint["routeTableIds"]) == {"private-0-id", "private-1-id"}


def test_the_small_size_shares_one_nat(small):
    assert len(small.of("ec2/natGateway")) == 1


def test_the_door_is_tls_and_asks_for_a_login_before_it_forwards(small):
    listeners = {each["port"]: each for each in small.of("lb/listener")}
    assert set(listeners) == {80, 443}
    assert [action["type"] for action in listeners[80]["defaultActions"]] == ["redirect"]
    assert listeners[80]["defaultActions"][0]["redirect"]["protocol"] == "HTTPS"
    actions = sorted(listeners[443]["defaultActions"], key=lambda action: action["order"])
    assert [action["type"] for action in actions] == ["authenticate-cognito", "forward"]
    assert actions[0]["authenticateCognito"]["onUnauthenticatedRequest"] == "authenticate"
    assert "TLS13" in listeners[443]["sslPolicy"]
    assert listeners[443]["protocol"] == "HTTPS"
    [pool] = small.of("cognito/userPool")
    assert pool["adminCreateUserConfig"]["allowAdminCreateUserOnly"] is True
    assert pool["mfaConfiguration"] == "ON"
    [client] = small.of("cognito/userPoolClient")
    assert client["callbackUrls"] == ["https://twin.example.org/oauth2/idpresponse"]


def test_the_load_balancer_drops_malformed_headers_and_is_not_deleted_by_mistake(small):
    [balancer] = small.of("lb/loadBalancer")
    assert balancer["dropInvalidHeaderFields"]
    assert balancer["enableDeletionProtection"]
