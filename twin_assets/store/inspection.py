"""Reads for those who trust nothing: points as they are, however they came to be so."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass

from pydantic import ValidationError
from qdrant_client import models as q

from twin_assets.models.chunk import head_point_id
from twin_assets.models.head import Head
from twin_assets.store import filters
from twin_assets.store.client import translated
from twin_assets.store.point_store import PAGE, PointStore
from twin_assets.store.points import HEAD_FIELDS

VECTOR_PAGE = 256
TEXT_PAGE = 32
CHUNK_FIELDS = ("entry", "recipe")
SOUND_FIELDS = (*CHUNK_FIELDS, "content", "chunk_count", "vector_hash")
TEXT_FIELDS = ("entry", "deleted", "source_hash", "content_hash", "cleaned_content")
TEXTLESS = q.IsEmptyCondition(is_empty=q.PayloadField(key="cleaned_content"))
NAMELESS = q.IsEmptyCondition(is_empty=q.PayloadField(key="entry"))
RECIPES_AT_MOST = 100


@dataclass(frozen=True)
class FoundHead:
    """A point that calls itself a head; `head` is None where no writer of ours can have written it."""

    point_id: str
    head: Head | None


@dataclass(frozen=True)
class FoundChunk:
    """A chunk; text and vector (None where there is none) only if they were asked for."""

    point_id: str
    entry: str
    recipe: str
    content: str = ""
    chunk_count: int = 0
    vector_hash: str = ""
    vector: tuple[float, ...] | None = None


@dataclass(frozen=True)
class FoundText:
    """The text of a cleaned document (None where there is none) and the hash that its head claims."""

    entry: str
    text: str | None
    content_hash: str


class Inspection:
    """Read-only views of one collection, a page in memory at a time."""

    def __init__(self, store: PointStore, collection: str) -> None:
        self._store = store
        self._collection = collection

    def scan_heads(self) -> Iterator[FoundHead]:
        """Yield every head, the impossible ones included."""
        chosen = q.Filter(must=[filters.HEAD])
        for record in self._store.scroll(self._collection, chosen, fields=HEAD_FIELDS):
            yield _found_head(record)

    def find_heads(self, keys: Collection[str]) -> dict[str, Head]:
        """Return the heads of some documents, by `type/entry`; an impossible one counts as none."""
        ids = [head_point_id(key) for key in keys]
        found: dict[str, Head] = {}
        for start in range(0, len(ids), PAGE):
            with translated(self._store.url, self._collection):
                records = self._store.client.retrieve(
                    self._collection, ids[start : start + PAGE], with_payload=HEAD_FIELDS
                )
            heads = (_found_head(record).head for record in records)
            found |= {head.key: head for head in heads if head is not None}
        return found

    def scan_chunks(
        self, entries: Sequence[str] | None = None, *, with_vectors: bool = False
    ) -> Iterator[FoundChunk]:
        """Yield the chunks of some documents or of all, with text and vector if asked for."""
        chosen = q.Filter(must=_those(entries), must_not=[filters.HEAD, NAMELESS])
        for record in self._store.scroll(
            self._collection,
            chosen,
            fields=SOUND_FIELDS if with_vectors else CHUNK_FIELDS,
            with_vectors=with_vectors,
            page=VECTOR_PAGE if with_vectors else PAGE,
        ):
            yield _found_chunk(record)

    def scan_texts(self, entries: Sequence[str] | None = None) -> Iterator[FoundText]:
        """Yield the texts of some cleaned documents or of all that have, or should have, one."""
        never_good = q.FieldCondition(key="source_hash", match=q.MatchValue(value=""))
        chosen = q.Filter(must=[filters.HEAD, *_those(entries)], must_not=[filters.DELETED, never_good])
        for record in self._store.scroll(self._collection, chosen, fields=TEXT_FIELDS, page=TEXT_PAGE):
            payload = record.payload or {}
            text = payload.get("cleaned_content")
            yield FoundText(
                entry=str(payload.get("entry", "")),
                text=text if isinstance(text, str) else None,
                content_hash=str(payload.get("content_hash", "")),
            )

    def surviving_texts(self, entries: Sequence[str] | None = None) -> Iterator[str]:
        """Yield the entries of tombstones that still hold text."""
        chosen = q.Filter(must=[filters.HEAD, filters.DELETED, *_those(entries)], must_not=[TEXTLESS])
        yield from self._entries_of(chosen)

    def entries_of_other_recipes(self, recipe: str) -> Iterator[str]:
        """Yield the entry of every point that another recipe made, once per point."""
        current = q.FieldCondition(key="recipe", match=q.MatchValue(value=recipe))
        yield from self._entries_of(q.Filter(must_not=[current, NAMELESS]))

    def nameless_points(self) -> Iterator[str]:
        """Yield the ids of points without an entry."""
        for record in self._store.scroll(self._collection, q.Filter(must=[NAMELESS]), fields=["entry"]):
            yield str(record.id)

    def count_by_recipe(self) -> dict[str, int]:
        """Count points per recipe, by its short hash; "" stands for points that name none."""
        total = self._store.count(self._collection)
        counts: dict[str, int] = {}
        while sum(counts.values()) < total and len(counts) < RECIPES_AT_MOST:
            known = q.FieldCondition(key="recipe", match=q.MatchAny(any=list(counts)))
            others = q.Filter(must_not=[known]) if counts else None
            record = next(self._store.scroll(self._collection, others, fields=["recipe"], page=1), None)
            recipe = (record.payload or {}).get("recipe") if record else None
            if not isinstance(recipe, str):
                counts[""] = total - sum(counts.values())
                break
            this = q.FieldCondition(key="recipe", match=q.MatchValue(value=recipe))
            counts[recipe] = self._store.count(self._collection, q.Filter(must=[this]))
        return counts

    def delete_points(self, point_ids: Collection[str]) -> None:
        """Delete points by id, whatever they say they are."""
        if point_ids:
            self._store.delete(self._collection, q.Filter(must=[filters.ids_in(point_ids)]))

    def delete_entries(self, entries: Collection[str]) -> None:
        """Delete all points of entries that no document can have."""
        if entries:
            self._store.delete(self._collection, q.Filter(must=[filters.entries_in(entries)]))

    def _entries_of(self, chosen: q.Filter) -> Iterator[str]:
        for record in self._store.scroll(self._collection, chosen, fields=["entry"]):
            yield str((record.payload or {})["entry"])


def _those(entries: Iterable[str] | None) -> list[q.Condition]:
    return [] if entries is None else [filters.entries_in(list(entries))]


def _found_head(record: q.Record) -> FoundHead:
    point_id = str(record.id)
    payload = record.payload or {}
    try:
        head = Head.model_validate(payload)
    except ValidationError:
        return FoundHead(point_id, None)
    return FoundHead(point_id, head if head_point_id(head.key) == point_id else None)


def _found_chunk(record: q.Record) -> FoundChunk:
    payload = record.payload or {}
    count = payload.get("chunk_count", 0)
    return FoundChunk(
        point_id=str(record.id),
        entry=str(payload.get("entry", "")),
        recipe=str(payload.get("recipe", "")),
        content=str(payload.get("content", "")),
        chunk_count=count if isinstance(count, int) else 0,
        vector_hash=str(payload.get("vector_hash", "")),
        vector=_vector_of(record),
    )


def _vector_of(record: q.Record) -> tuple[float, ...] | None:
    vector = record.vector
    if not isinstance(vector, list) or not all(isinstance(number, int | float) for number in vector):
        return None
    return tuple(float(number) for number in vector if isinstance(number, int | float))
