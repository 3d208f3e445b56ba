"""Qdrant on ECS: one node on a machine and a volume of its own, reached from the tasks alone, by TLS."""

from __future__ import annotations

import pulumi

from infrastructure.certificates import path_of
from infrastructure.choices import QdrantOnEcs
from infrastructure.groups import make_group
from infrastructure.qdrant.authority import make_certificate
from infrastructure.qdrant.host import make_host
from infrastructure.qdrant.service import HOST_NAME, NAME, PORT, make_definition, make_service
from infrastructure.qdrant.volume import make_volume
from infrastructure.roles import make_task_roles
from infrastructure.secrets import Secret, make_password, make_secret
from infrastructure.sizes import Size
from infrastructure.store import Store
from infrastructure.tasks import Place

AUTHORITY = "qdrant.pem"


def make_qdrant(choice: QdrantOnEcs, place: Place, size: Size) -> Store:
    """Make the volume, the machine that has it, the service, its certificate and its two keys."""
    network = place.network
    group = make_group(network.vpc, NAME)
    network.tasks.reach(group, PORT)
    zone = network.private_subnets[0].availability_zone
    volume = make_volume(zone, storage=choice.storage, snapshot=choice.snapshot)
    host, attachment = make_host(place, size, volume, image=choice.host_image)
    certificate = make_certificate(NAME, host_name=HOST_NAME)
    tls_key = make_secret("QDRANT_TLS_KEY", certificate.key)
    key = make_secret("TWIN_QDRANT_API_KEY", make_password("qdrant"))
    read_only_key = make_secret("QDRANT_READ_ONLY_API_KEY", make_password("qdrant-read-only"))
    definition = make_definition(
        place,
        size,
        roles=make_task_roles(NAME, logs=place.logs, secrets=[key, read_only_key, tls_key]),
        certificate=certificate,
        key=Secret("KEY", tls_key.arn),
        secrets=[
            Secret("QDRANT__SERVICE__API_KEY", key.arn),
            Secret("QDRANT__SERVICE__READ_ONLY_API_KEY", read_only_key.arn),
        ],
    )
    url = f"https://{HOST_NAME}:{PORT}"
    return Store(
        settings={"TWIN_QDRANT_URL": url, "TWIN_QDRANT_CA_FILE": path_of(AUTHORITY)},
        secret=key,
        files={AUTHORITY: certificate.authority},
        host=host,
        service=make_service(place, definition, group, after=attachment),
        outputs={
            "qdrantUrl": url,
            "qdrantAuthority": pulumi.Output.unsecret(certificate.authority),
            "qdrantReadOnlyKey": read_only_key.arn,
            "qdrantSecurityGroup": group.id,
            "qdrantHost": host.id,
        },
    )
