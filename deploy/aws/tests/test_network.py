"""Nothing is public but the load balancer, and nobody reaches what they have no business with."""

from __future__ import annotations

PRIVATE = {"private-0-id", "private-1-id"}


def test_only_the_load_balancer_is_reached_from_anywhere(declared, is_self_hosted):
    rules = declared.of("vpc/securityGroupIngressRule")
    open_rules = [rule for rule in rules if "cidrIpv4" in rule.inputs or "cidrIpv6" in rule.inputs]
    assert {(rule["securityGroupId"], rule["fromPort"]) for rule in open_rules} == {
        ("balancer-id", 80), ("balancer-id", 443)
    }  # fmt: skip
    closed = [rule for rule in rules if rule not in open_rules]
    own = {("tasks-id", "documentdb-id", 27017), ("tasks-id", "qdrant-id", 6333)}
    assert {(r["referencedSecurityGroupId"], r["securityGroupId"], r["fromPort"]) for r in closed} == {
        ("balancer-id", "tasks-id", 3000),
        ("tasks-id", "tasks-id", 4000),
        ("tasks-id", "database-id", 5432),
        ("tasks-id", "broker-id", 5671),
    } | (own if is_self_hosted else set())


def test_the_way_out_is_to_https_and_to_the_servers_that_are_elsewhere(declared, is_self_hosted):
    rules = [rule for rule in declared.of("vpc/securityGroupEgressRule") if "cidrIpv4" in rule.inputs]
    found = {(rule["securityGroupId"], rule["fromPort"], rule["toPort"]) for rule in rules}
    servers = {("tasks-id", 27015, 27017), ("tasks-id", 6333, 6333)}
    assert found == {("tasks-id", 443, 443), ("balancer-id", 443, 443)} | (
        {("qdrant-host-id", 443, 443)} if is_self_hosted else servers
    )


def test_whoever_may_be_reached_by_a_group_may_be_gone_to_from_there(declared):
    def between(kind):
        rules = [rule for rule in declared.of(kind) if "referencedSecurityGroupId" in rule.inputs]
        ends = ("securityGroupId", "referencedSecurityGroupId")
        return {(frozenset(rule[end] for end in ends), rule["fromPort"], rule["toPort"]) for rule in rules}

    assert between("vpc/securityGroupIngressRule") == between("vpc/securityGroupEgressRule")


def test_no_group_has_rules_of_its_own_and_the_default_one_has_none(declared):
    for group in declared.of("ec2/securityGroup"):
        assert not group.inputs.get("ingress"), group.name
        assert not group.inputs.get("egress"), group.name
    [default] = declared.of("ec2/defaultSecurityGroup")
    assert (default["ingress"], default["egress"]) == ([], [])


def test_everything_else_has_no_public_address(declared):
    assert all(not subnet["mapPublicIpOnLaunch"] for subnet in declared.of("ec2/subnet"))
    for service in declared.of("ecs/service"):
        network = service["networkConfiguration"]
        assert network["assignPublicIp"] is False
        # Qdrant's task can be where its machine is, and nowhere else.
        on_qdrant = service.name == "qdrant"
        assert set(network["subnets"]) == ({"private-0-id"} if on_qdrant else PRIVATE)
        assert network["securityGroups"] == ["qdrant-id" if on_qdrant else "tasks-id"]
    for kind in ("rds/instance", "mq/broker"):
        assert all(each["publiclyAccessible"] is False for each in declared.of(kind))
    assert set(declared.one("rds/subnetGroup", "dagster")["subnetIds"]) == PRIVATE
    [broker] = declared.of("mq/broker")
    assert set(broker["subnetIds"]) <= PRIVATE


def test_the_servers_that_are_run_here_stand_in_private_subnets_and_groups_of_their_own(self_hosted):
    assert set(self_hosted.one("docdb/subnetGroup", "twin")["subnetIds"]) == PRIVATE
    [cluster] = self_hosted.of("docdb/cluster")
    assert cluster["vpcSecurityGroupIds"] == ["documentdb-id"]
    [host] = self_hosted.of("ec2/instance")
    assert host["associatePublicIpAddress"] is False
    assert host["subnetId"] == "private-0-id"
    assert host["vpcSecurityGroupIds"] == ["qdrant-host-id"]


def test_private_subnets_go_out_through_a_nat_and_public_ones_through_the_gateway(medium):
    tables = {table.name: table["routes"] for table in medium.of("ec2/routeTable")}
    assert all(route["gatewayId"] == "out-id" for name in ("public-0", "public-1") for route in tables[name])
    assert [tables[f"private-{number}"][0]["natGatewayId"] for number in (0, 1)] == ["nat-0-id", "nat-1-id"]
    [endpoint] = medium.of("ec2/vpcEndpoint")
    assert set(endpoint["routeTableIds"]) == {"private-0-id", "private-1-id"}


def test_the_small_size_shares_one_nat(small):
    assert len(small.of("ec2/natGateway")) == 1


def test_the_door_is_tls_and_asks_for_a_login_before_it_forwards(declared):
    listeners = {each["port"]: each for each in declared.of("lb/listener")}
    assert set(listeners) == {80, 443}
    assert [action["type"] for action in listeners[80]["defaultActions"]] == ["redirect"]
    assert listeners[80]["defaultActions"][0]["redirect"]["protocol"] == "HTTPS"
    actions = sorted(listeners[443]["defaultActions"], key=lambda action: action["order"])
    assert [action["type"] for action in actions] == ["authenticate-cognito", "forward"]
    assert actions[0]["authenticateCognito"]["onUnauthenticatedRequest"] == "authenticate"
    assert "TLS13" in listeners[443]["sslPolicy"]
    assert listeners[443]["protocol"] == "HTTPS"
    [pool] = declared.of("cognito/userPool")
    assert pool["adminCreateUserConfig"]["allowAdminCreateUserOnly"] is True
    assert pool["mfaConfiguration"] == "ON"
    [client] = declared.of("cognito/userPoolClient")
    assert client["callbackUrls"] == ["https://twin.example.org/oauth2/idpresponse"]


def test_the_load_balancer_drops_malformed_headers_and_is_not_deleted_by_mistake(declared):
    [balancer] = declared.of("lb/loadBalancer")
    assert balancer["dropInvalidHeaderFields"]
    assert balancer["enableDeletionProtection"]
