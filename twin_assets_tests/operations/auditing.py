"""Filling a twin without a stream, and spoiling its points by hand."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from qdrant_client import models as q

from twin_assets.broker.letter_reader import StoredLetter
from twin_assets.models.base import document_key
from twin_assets.models.change import REVISION_BITS, Change, DeadLetter, Marker
from twin_assets.models.chunk import head_point_id
from twin_assets.models.generation import Generation
from twin_assets.models.kinds import DataType, Snapshot
from twin_assets.operations.twin import Twin

WORDS = " ".join(f"word{number}" for number in range(40))


class MemoryDeadLetters:
    def __init__(self) -> None:
        self.letters: list[DeadLetter] = []

    def peek(self, limit: int) -> list[StoredLetter]:
        found = self.letters[:limit]
        return [StoredLetter(number, str(number), letter) for number, letter in enumerate(found, 1)]


def post(document_id: Any, text: str = WORDS) -> dict[str, Any]:
    return {
        "_id": document_id,
        "platform": "p",
        "author_id": "a",
        "content": {"text": f"{document_id} {text}"},
    }


def change(document_id: int, *, revision: int = 1) -> Change:
    return Change(type=DataType.POSTS, entry=f"int:{document_id}", revision=revision)


def move_watermark(twin: Twin, *, ahead_s: int = 600) -> None:
    """Say that everything up to a time relative to MongoDB's has been applied."""
    marker = Marker(position=twin.source.now() + (ahead_s << REVISION_BITS), sent_at=datetime.now(UTC))
    twin.meta.store_markers(dict.fromkeys(range(twin.settings.rabbitmq_queues), marker))


class Spoiler:
    """Changes points of one generation behind everybody's back."""

    def __init__(self, twin: Twin, snapshot: Snapshot) -> None:
        live = twin.live_generation(snapshot, DataType.POSTS)
        assert live is not None
        self.generation: Generation = live
        self._collection = live.collection
        self._store = twin.store

    def head_id(self, number: int) -> str:
        return head_point_id(document_key(DataType.POSTS, f"int:{number}"))

    def chunk(self, number: int) -> q.Record:
        """Return some chunk of a document, with its vector."""
        entry = q.FieldCondition(key="entry", match=q.MatchValue(value=f"int:{number}"))
        head = q.FieldCondition(key="head", match=q.MatchValue(value=True))
        chosen = q.Filter(must=[entry], must_not=[head])
        return next(self._store.scroll(self._collection, chosen, with_vectors=True, page=1))

    def put(self, record: q.Record, *, point_id: str | None = None, **payload: Any) -> None:
        """Write a point as it was read, with some fields changed."""
        vector = payload.pop("vector", record.vector) or {}
        point = q.PointStruct(
            id=point_id or record.id, vector=vector, payload=(record.payload or {}) | payload
        )
        self._store.client.upsert(self._collection, [point], wait=True)

    def set(self, point_id: str, **payload: Any) -> None:
        self._store.client.set_payload(self._collection, payload, points=[point_id], wait=True)

    def delete(self, *point_ids: str) -> None:
        self._store.client.delete(self._collection, list(point_ids), wait=True)
