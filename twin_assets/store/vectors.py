"""Vectors as a generation holds them, for another one of the same recipe."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from twin_assets.models.embedded import vector_hash
from twin_assets.store.client import translated
from twin_assets.store.point_store import PointStore

PAGE = 256
FIELDS = ["content", "vector_hash"]


@dataclass(frozen=True)
class StoredVector:
    """A chunk's text and its vector, which is the one that was written with it."""

    content: str
    vector: tuple[float, ...]


def stored_vectors(store: PointStore, collection: str, point_ids: Sequence[str]) -> dict[str, StoredVector]:
    """Return what is there of these chunks, by id; a vector that is not the one written is left out.

    Raises GenerationMissing.
    """
    found: dict[str, StoredVector] = {}
    for start in range(0, len(point_ids), PAGE):
        page = list(point_ids[start : start + PAGE])
        with translated(store.url, collection):
            records = store.client.retrieve(collection, page, with_payload=FIELDS, with_vectors=True)
        for record in records:
            payload, vector = record.payload or {}, record.vector
            if isinstance(vector, list) and "content" in payload:
                numbers = tuple(number for number in vector if isinstance(number, float))
                if vector_hash(numbers) == payload.get("vector_hash"):
                    found[str(record.id)] = StoredVector(payload["content"], numbers)
    return found
