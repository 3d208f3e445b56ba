"""Turns a fresh mongod into a replica set of one, which change streams and majority reads need."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from pymongo import MongoClient
from pymongo.errors import OperationFailure, PyMongoError

REPLICA_SET = "rs0"
NOT_YET_INITIALIZED = 94
PROBE_TIMEOUT_MS = 2000


def initiate_replica_set(address: str) -> bool:
    """Make the mongod at `host:port` a replica set of one, under this address; return whether it answered.

    Idempotent; a member that was initiated under another port is given its present one.
    """
    try:
        with _direct(address) as client:
            _configure(client, address)
    except PyMongoError:
        return False
    return True


def is_writable(address: str) -> bool:
    """Say whether the mongod at `host:port` answers and takes writes as a primary."""
    try:
        with _direct(address) as client:
            return bool(client.admin.command("hello").get("isWritablePrimary"))
    except PyMongoError:
        return False


def _configure(client: MongoClient[dict[str, Any]], address: str) -> None:
    try:
        config = client.admin.command("replSetGetConfig")["config"]
    except OperationFailure as error:
        if error.code != NOT_YET_INITIALIZED:
            raise
        members = [{"_id": 0, "host": address}]
        client.admin.command("replSetInitiate", {"_id": REPLICA_SET, "members": members})
        return
    if [member["host"] for member in config["members"]] != [address]:
        config["members"] = [{"_id": 0, "host": address}]
        config["version"] += 1
        client.admin.command("replSetReconfig", config, force=True)


@contextmanager
def _direct(address: str) -> Iterator[MongoClient[dict[str, Any]]]:
    client: MongoClient[dict[str, Any]] = MongoClient(
        f"mongodb://{address}/",
        directConnection=True,
        serverSelectionTimeoutMS=PROBE_TIMEOUT_MS,
        connectTimeoutMS=PROBE_TIMEOUT_MS,
        socketTimeoutMS=PROBE_TIMEOUT_MS * 5,
    )
    with client:
        yield client
