"""The one public door: HTTPS with a login, since Dagster's UI has none."""

from __future__ import annotations

from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from infrastructure.network import WEBSERVER_PORT, Network

TLS_POLICY = "ELBSecurityPolicy-TLS13-1-2-Res-2021-06"
SESSION_S = 12 * 3600


@dataclass(frozen=True)
class Balancer:
    """The load balancer, what it forwards to, and the listener that has to be there before."""

    balancer: aws.lb.LoadBalancer
    target: aws.lb.TargetGroup
    listener: aws.lb.Listener


@dataclass(frozen=True)
class Login:
    """Who may come in: the users of a pool to which only an administrator adds."""

    pool: aws.cognito.UserPool
    client: aws.cognito.UserPoolClient
    domain: aws.cognito.UserPoolDomain


def make_login(host_name: str, *, admin_email: str) -> Login:
    """Make a pool with one user; a second factor is asked of everybody."""
    pool = aws.cognito.UserPool(
        "twin",
        admin_create_user_config={"allow_admin_create_user_only": True},
        username_attributes=["email"],
        auto_verified_attributes=["email"],
        mfa_configuration="ON",
        software_token_mfa_configuration={"enabled": True},
        password_policy={"minimum_length": 14, "require_lowercase": True, "require_numbers": True},
        deletion_protection="ACTIVE",
    )
    client = aws.cognito.UserPoolClient(
        "twin",
        user_pool_id=pool.id,
        generate_secret=True,
        allowed_oauth_flows_user_pool_client=True,
        allowed_oauth_flows=["code"],
        allowed_oauth_scopes=["openid"],
        supported_identity_providers=["COGNITO"],
        callback_urls=[f"https://{host_name}/oauth2/idpresponse"],
    )
    domain = aws.cognito.UserPoolDomain("twin", user_pool_id=pool.id, domain=host_name.replace(".", "-"))
    aws.cognito.User("admin", user_pool_id=pool.id, username=admin_email, attributes={"email": admin_email})
    return Login(pool, client, domain)


def make_balancer(network: Network, login: Login, *, certificate_arn: str) -> Balancer:
    """Make the load balancer: HTTP is sent to HTTPS, and nothing is forwarded without a login."""
    balancer = aws.lb.LoadBalancer(
        "twin",
        internal=False,
        load_balancer_type="application",
        subnets=[subnet.id for subnet in network.public_subnets],
        security_groups=[network.balancer.id],
        drop_invalid_header_fields=True,
        enable_deletion_protection=True,
    )
    target = aws.lb.TargetGroup(
        "webserver",
        vpc_id=network.vpc.id,
        port=WEBSERVER_PORT,
        protocol="HTTP",
        target_type="ip",
        deregistration_delay=30,
        health_check={"path": "/server_info", "matcher": "200", "interval": 15, "timeout": 10},
    )
    aws.lb.Listener(
        "http",
        load_balancer_arn=balancer.arn,
        port=80,
        protocol="HTTP",
        default_actions=[
            {"type": "redirect", "redirect": {"port": "443", "protocol": "HTTPS", "status_code": "HTTP_301"}}
        ],
    )
    listener = aws.lb.Listener(
        "https",
        load_balancer_arn=balancer.arn,
        port=443,
        protocol="HTTPS",
        ssl_policy=TLS_POLICY,
        certificate_arn=certificate_arn,
        default_actions=[
            _login_first(login),
            {"type": "forward", "order": 2, "target_group_arn": target.arn},
        ],
    )
    return Balancer(balancer, target, listener)


def _login_first(login: Login) -> dict[str, pulumi.Input]:
    return {
        "type": "authenticate-cognito",
        "order": 1,
        "authenticate_cognito": {
            "user_pool_arn": login.pool.arn,
            "user_pool_client_id": login.client.id,
            "user_pool_domain": login.domain.domain,
            "on_unauthenticated_request": "authenticate",
            "session_timeout": SESSION_S,
        },
    }
