"""The sizes that a stack may have, and what each part is made of there."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Size:
    """What the parts are made of. `run_cpu` are CPU units of 1/1024, memory is in MiB, storage in GiB."""

    run_cpu: int
    run_memory: int
    broker_instance: str
    broker_is_cluster: bool
    database_instance: str
    database_storage: int
    database_has_standby: bool
    nat_gateways: int
    documentdb_instance: str
    documentdb_instances: int
    qdrant_instance: str
    # What is left to Qdrant by the instance's own system and the agent of ECS.
    qdrant_memory: int
    qdrant_storage: int


SIZES = {
    "small": Size(
        run_cpu=1024,
        run_memory=4096,
        broker_instance="mq.m7g.medium",
        broker_is_cluster=False,
        database_instance="db.t4g.micro",
        database_storage=20,
        database_has_standby=False,
        nat_gateways=1,
        documentdb_instance="db.t4g.medium",
        documentdb_instances=1,
        qdrant_instance="t3.large",
        qdrant_memory=6144,
        qdrant_storage=50,
    ),
    "medium": Size(
        run_cpu=2048,
        run_memory=4096,
        broker_instance="mq.m7g.large",
        broker_is_cluster=True,
        database_instance="db.t4g.small",
        database_storage=50,
        database_has_standby=True,
        nat_gateways=2,
        documentdb_instance="db.r6g.large",
        documentdb_instances=2,
        qdrant_instance="m7i.xlarge",
        qdrant_memory=13312,
        qdrant_storage=200,
    ),
    "large": Size(
        run_cpu=4096,
        run_memory=8192,
        broker_instance="mq.m7g.xlarge",
        broker_is_cluster=True,
        database_instance="db.m7g.large",
        database_storage=200,
        database_has_standby=True,
        nat_gateways=2,
        documentdb_instance="db.r6g.xlarge",
        documentdb_instances=2,
        qdrant_instance="r7i.2xlarge",
        qdrant_memory=57344,
        qdrant_storage=500,
    ),
}
