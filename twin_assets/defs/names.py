"""The names that Dagster shows: asset keys, groups, shares and run tags."""

from __future__ import annotations

from dagster import AssetKey

from twin_assets.models.generation import alias_of
from twin_assets.models.kinds import DataType, Snapshot

CHANGES_KEY = AssetKey(["rabbitmq", "changes"])
SOURCES_GROUP = "sources"

CAPTURE_SHARE = "capture"

SHARE_TAG = "twin/share"
REPLICAS_TAG = "twin/replicas"
HEARTBEAT_TAG = "twin/heartbeat"
PROGRESS_TAG = "twin/progress"
END_TAG = "twin/end"


def source_key(data_type: DataType) -> AssetKey:
    """Return the key of a MongoDB collection."""
    return AssetKey(["mongodb", data_type.value])


def collection_key(snapshot: Snapshot, data_type: DataType) -> AssetKey:
    """Return the key of a Qdrant collection, by the name that its readers use."""
    return AssetKey(["qdrant", alias_of(snapshot, data_type)])


def stream_share(replica: int) -> str:
    """Return the share of the work that a stream run holds: one run per share."""
    return f"stream-{replica}"
