"""How heads and chunks look as Qdrant points, and back."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError
from qdrant_client import models as q

from twin_assets.models.base import document_key, plain_id
from twin_assets.models.chunk import ChunkModel, head_point_id
from twin_assets.models.cleaned import CleanedModel
from twin_assets.models.embedded import EmbeddedChunkModel, vector_hash
from twin_assets.models.generation import Generation
from twin_assets.models.head import Head

HEAD_FIELDS = list(Head.model_fields)
PLACE_FIELDS = ("chunk_index", "start", "end", "path", "language", "start_line")
VECTOR_FIELDS = ("content", "vector_hash")
CHUNK_FIELDS = ("entry", "revision", "source_hash", "head", *PLACE_FIELDS)
# Qdrant takes 32 MB in one request, and a character may need six bytes of JSON.
PAGE_CHARACTERS = 4_000_000
NUMBER_CHARACTERS = 20


@dataclass(frozen=True)
class StoredChunk:
    """A chunk as a generation holds it, without text and vector."""

    point_id: str
    entry: str
    revision: int
    source_hash: str
    place: tuple[Any, ...]


@dataclass(frozen=True)
class StoredVector:
    """A chunk's text and the vector that was written with it."""

    content: str
    vector: tuple[float, ...]


def place_of(payload: Mapping[str, Any]) -> tuple[Any, ...]:
    """Return where a chunk stands in its document."""
    return tuple(payload.get(field) for field in PLACE_FIELDS)


def stored_chunk(record: q.Record) -> StoredChunk:
    """Read a chunk back."""
    payload = record.payload or {}
    return StoredChunk(
        point_id=str(record.id),
        entry=payload["entry"],
        revision=int(payload.get("revision", 0)),
        source_hash=payload.get("source_hash", ""),
        place=place_of(payload),
    )


def stored_vector(record: q.Record) -> StoredVector | None:
    """Read text and vector of a chunk back; None where the vector is not the one that was written."""
    payload, vector = record.payload or {}, record.vector
    if not isinstance(vector, list) or "content" not in payload:
        return None
    numbers = tuple(number for number in vector if isinstance(number, float))
    if vector_hash(numbers) != payload.get("vector_hash"):
        return None
    return StoredVector(payload["content"], numbers)


def stored_head(record: q.Record) -> Head | None:
    """Read a head back; None for one that no writer of ours can have written: the audit removes those."""
    try:
        return Head.model_validate(record.payload or {})
    except ValidationError:
        return None


def chunk_payload(chunk: ChunkModel, *, revision: int, source_hash: str, content_hash: str) -> dict[str, Any]:
    """Return a chunk's payload but for the vector's hash; `source_hash` says which version placed it here.

    Absent fields are None, which removes them from a chunk that had them.
    """
    fence = {"revision": revision, "source_hash": source_hash, "content_hash": content_hash}
    return chunk.payload() | fence


def chunk_point(
    embedded: EmbeddedChunkModel, *, revision: int, source_hash: str, content_hash: str
) -> q.PointStruct:
    """Return a chunk's point."""
    chunk = embedded.chunk
    payload = chunk_payload(chunk, revision=revision, source_hash=source_hash, content_hash=content_hash)
    payload["vector_hash"] = embedded.vector_hash
    return q.PointStruct(id=chunk.point_id, vector=list(embedded.vector), payload=without_nulls(payload))


def document_head(
    generation: Generation, cleaned: CleanedModel, *, revision: int, chunk_count: int, settled: bool
) -> q.PointStruct:
    """Return a document's head: the cleaned document itself, or a point without a vector."""
    head = Head(
        entry=cleaned.entry,
        type=generation.type,
        revision=revision,
        source_hash=cleaned.source_hash,
        content_hash=cleaned.content_hash,
        chunk_count=chunk_count,
        recipe=generation.recipe.short,
        settled=settled,
    )
    body = cleaned.model_dump(mode="json") if generation.recipe.snapshot == "cleaned" else {}
    return _head_point(head, body)


def tombstone(generation: Generation, entry: str, *, revision: int, settled: bool) -> q.PointStruct:
    """Return the head of a deleted document: its key and revision, no content."""
    head = Head(
        entry=entry,
        type=generation.type,
        revision=revision,
        recipe=generation.recipe.short,
        settled=settled,
        deleted=True,
    )
    return _head_point(head, {})


def quarantine_head(
    generation: Generation, entry: str, *, revision: int, quarantine_hash: str
) -> q.PointStruct:
    """Return the head of a document of which there was never a good version."""
    head = Head(
        entry=entry,
        type=generation.type,
        revision=revision,
        recipe=generation.recipe.short,
        settled=True,
        quarantined=True,
        quarantine_hash=quarantine_hash,
    )
    return _head_point(head, {})


def _head_point(head: Head, body: dict[str, Any]) -> q.PointStruct:
    payload = body | head.model_dump(mode="json") | {"id": plain_id(head.entry), "head": True}
    head_id = head_point_id(document_key(head.type, head.entry))
    return q.PointStruct(id=head_id, vector={}, payload=without_nulls(payload))


def without_nulls(payload: dict[str, Any]) -> dict[str, Any]:
    """Leave absent fields out: Qdrant removes a field that is set to null, but an upsert keeps the null."""
    return {name: value for name, value in payload.items() if value is not None}


def pages_of(points: Sequence[q.PointStruct], longest: int) -> Iterator[list[q.PointStruct]]:
    """Cut points into pages that one request can carry; a point that is larger than a page goes alone."""
    page: list[q.PointStruct] = []
    characters = 0
    for point in points:
        size = _characters(point.payload)
        if page and (len(page) == longest or characters + size > PAGE_CHARACTERS):
            yield page
            page, characters = [], 0
        page.append(point)
        characters += size
    if page:
        yield page


def _characters(value: Any) -> int:
    match value:
        case str():
            return len(value)
        case Mapping():
            return sum(len(name) + _characters(item) for name, item in value.items())
        case list():
            return sum(map(_characters, value))
        case _:
            return NUMBER_CHARACTERS
