"""Hands in Qdrant: points altered behind the back of everybody, so that the counts stay the same."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from qdrant_client import models as q

from twin_assets.models.base import document_key
from twin_assets.models.chunk import head_point_id
from twin_assets.models.generation import Generation
from twin_assets.models.kinds import DataType
from twin_assets.operations.twin import Twin

FUTURE = 1 << 52


class Hands:
    """Alters the points of one generation of posts with numbers for ids."""

    def __init__(self, twin: Twin, generation: Generation) -> None:
        self.generation = generation
        self._client = twin.store.client
        self._name = generation.collection
        self._url = twin.store.url

    def head(self, number: int) -> str:
        return head_point_id(document_key(DataType.POSTS, f"int:{number}"))

    def chunks(self, number: int) -> list[q.Record]:
        """Return the chunks of a document in their order, with their vectors."""
        entry = q.FieldCondition(key="entry", match=q.MatchValue(value=f"int:{number}"))
        head = q.FieldCondition(key="head", match=q.MatchValue(value=True))
        chosen = q.Filter(must=[entry], must_not=[head])
        found, _ = self._client.scroll(self._name, chosen, limit=100, with_payload=True, with_vectors=True)
        return sorted(found, key=lambda record: record.payload["chunk_index"])

    def set(self, point: Any, **payload: Any) -> None:
        self._client.set_payload(self._name, payload, points=[point], wait=True)

    def delete(self, points: Sequence[Any]) -> None:
        self._client.delete(self._name, list(points), wait=True)

    def copy(self, point: Any, *, to: Any, **payload: Any) -> None:
        """Write a point again under another id, with other fields."""
        [record] = self._client.retrieve(self._name, [point], with_payload=True, with_vectors=True)
        row = q.PointStruct(id=to, vector=record.vector or {}, payload=record.payload | payload)
        self._client.upsert(self._name, [row], wait=True)

    def swap_vectors(self, one: q.Record, other: q.Record) -> None:
        self._client.update_vectors(
            self._name,
            [q.PointVectors(id=one.id, vector=other.vector), q.PointVectors(id=other.id, vector=one.vector)],
            wait=True,
        )

    def snapshot(self) -> str:
        """Return the name of a snapshot of the collection as it is."""
        return self._client.create_snapshot(self._name, wait=True).name

    def restore(self, snapshot: str) -> None:
        """Put the collection back to a snapshot, which Qdrant fetches from itself."""
        location = f"{self._url}/collections/{self._name}/snapshots/{snapshot}"
        whole = q.SnapshotPriority.SNAPSHOT
        self._client.recover_snapshot(self._name, location=location, priority=whole, wait=True)
