"""An authority of our own for one server, whose name no public authority would sign."""

from __future__ import annotations

from dataclasses import dataclass

import pulumi
import pulumi_tls as tls

YEAR_H = 365 * 24
AUTHORITY_H = 10 * YEAR_H
# Whatever `pulumi up` comes in the last of its three years makes a new one.
CERTIFICATE_H, RENEWAL_H = 3 * YEAR_H, YEAR_H
ALGORITHM = {"algorithm": "ECDSA", "ecdsa_curve": "P256"}


@dataclass(frozen=True)
class ServerCertificate:
    """What a server shows, the key to it, and the authority that clients trust."""

    certificate: pulumi.Output[str]
    key: pulumi.Output[str]
    authority: pulumi.Output[str]


def make_certificate(name: str, *, host_name: str) -> ServerCertificate:
    """Make an authority and a certificate for one host name; both keys stay in Pulumi's encrypted state."""
    authority_key = tls.PrivateKey(f"{name}-authority", **ALGORITHM)
    authority = tls.SelfSignedCert(
        f"{name}-authority",
        private_key_pem=authority_key.private_key_pem,
        subject={"common_name": f"twin {name}"},
        is_ca_certificate=True,
        set_subject_key_id=True,
        allowed_uses=["cert_signing", "crl_signing"],
        validity_period_hours=AUTHORITY_H,
        early_renewal_hours=RENEWAL_H,
    )
    key = tls.PrivateKey(name, **ALGORITHM)
    request = tls.CertRequest(
        name,
        private_key_pem=key.private_key_pem,
        subject={"common_name": host_name},
        dns_names=[host_name],
    )
    certificate = tls.LocallySignedCert(
        name,
        cert_request_pem=request.cert_request_pem,
        ca_cert_pem=authority.cert_pem,
        ca_private_key_pem=authority_key.private_key_pem,
        allowed_uses=["digital_signature", "server_auth"],
        set_subject_key_id=True,
        validity_period_hours=CERTIFICATE_H,
        early_renewal_hours=RENEWAL_H,
    )
    return ServerCertificate(
        certificate.cert_pem, pulumi.Output.secret(key.private_key_pem_pkcs8), authority.cert_pem
    )
