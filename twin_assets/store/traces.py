"""What a collection, ours or not, holds of a document: for those who must be sure that nothing is left."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any

from qdrant_client import models as q

from twin_assets.models.kinds import DataType, Snapshot
from twin_assets.store import filters
from twin_assets.store.inspection import TEXT_PAGE
from twin_assets.store.point_store import PointStore
from twin_assets.store.points import HEAD_FIELDS

CHUNK_PAGE = 256
TOMBSTONE_FIELDS = frozenset({*HEAD_FIELDS, "id", "head"})


def scan_payloads(store: PointStore, collection: str) -> Iterator[dict[str, Any]]:
    """Yield the payload of every point. Raises GenerationMissing."""
    page = CHUNK_PAGE if collection.startswith(f"{Snapshot.VECTOR.value}_") else TEXT_PAGE
    for record in store.scroll(collection, page=page):
        yield record.payload or {}


def held_entries(
    store: PointStore, collection: str, data_type: DataType, entries: Collection[str]
) -> set[str]:
    """Return those of the entries that some point names, tombstones included. Raises GenerationMissing."""
    chosen = q.Filter(must=[filters.entries_in(entries)])
    payloads = (record.payload or {} for record in store.scroll(collection, chosen, fields=["entry", "type"]))
    return {payload["entry"] for payload in payloads if payload.get("type", data_type) == data_type}


def is_tombstone(payload: dict[str, Any]) -> bool:
    """Say whether a point is what a deleted document leaves: a key, a revision and nothing else."""
    is_dead_head = payload.get("head") is True and payload.get("deleted") is True
    return is_dead_head and payload.keys() <= TOMBSTONE_FIELDS
