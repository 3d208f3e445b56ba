"""Reads for those who trust nothing: points as they are, however they came to be so."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import Any

from pydantic import ValidationError
from qdrant_client import models as q

from twin_assets.models.chunk import head_point_id
from twin_assets.models.head import Head
from twin_assets.store import filters
from twin_assets.store.client import translated
from twin_assets.store.found import FoundChunk, FoundHead, FoundPoint, PointId, PointPage
from twin_assets.store.point_store import PAGE, PointStore
from twin_assets.store.points import HEAD_FIELDS

VECTOR_PAGE = 256
TEXT_PAGE = 32
SOURCE_FIELDS = ("id", "platform", "name", "link", "author_id", "owner_id", "image")
TEXT_FIELDS = ("cleaned_content", "files")
POINT_FIELDS = (
    *("entry", "type", "head", "revision", "recipe"),
    *("source_hash", "deleted", "quarantined"),
)
CHUNK_FIELDS = (
    *("entry", "type", "recipe", "revision", "source_hash", "content_hash"),
    *("chunk_index", "chunk_count", "start", "end"),
    *SOURCE_FIELDS,
)
CHUNK_TEXT_FIELDS = (*CHUNK_FIELDS, "content", "vector_hash", "path", "language", "start_line")
TEXTLESS = q.IsEmptyCondition(is_empty=q.PayloadField(key="cleaned_content"))
RECIPES_AT_MOST = 100


class Inspection:
    """Read-only views of one collection, a page in memory at a time."""

    def __init__(self, store: PointStore, collection: str) -> None:
        self._store = store
        self._collection = collection

    def scan_points(self, since: PointId | None = None, *, page: int = PAGE) -> Iterator[PointPage]:
        """Yield all points, heads and chunks, from an id on."""
        following: Any = since
        while True:
            with translated(self._store.url, self._collection):
                records, following = self._store.client.scroll(
                    self._collection, limit=page, offset=following, with_payload=list(POINT_FIELDS)
                )
            yield PointPage([FoundPoint(str(each.id), each.payload or {}) for each in records], following)
            if following is None:
                return

    def find_points(self, point_ids: Collection[str]) -> list[FoundPoint]:
        """Return those of some points that are there."""
        with translated(self._store.url, self._collection):
            records = self._store.client.retrieve(
                self._collection, _ids_of(point_ids), with_payload=list(POINT_FIELDS)
            )
        return [FoundPoint(str(record.id), record.payload or {}) for record in records]

    def find_heads(self, keys: Collection[str], *, with_texts: bool = False) -> dict[str, FoundHead]:
        """Return the heads of some documents, by `type/entry`; an impossible one counts as none."""
        keys_of = {head_point_id(key): key for key in keys}
        ids = list(keys_of)
        fields = [*HEAD_FIELDS, *SOURCE_FIELDS, *(TEXT_FIELDS if with_texts else ())]
        found: dict[str, FoundHead] = {}
        for start in range(0, len(ids), PAGE):
            with translated(self._store.url, self._collection):
                records = self._store.client.retrieve(
                    self._collection, ids[start : start + PAGE], with_payload=fields
                )
            for record in records:
                head = _head_of(record)
                if head is not None and head.key == keys_of[str(record.id)]:
                    found[head.key] = FoundHead(head, record.payload or {})
        return found

    def scan_chunks(self, entries: Sequence[str], *, with_vectors: bool = False) -> Iterator[FoundChunk]:
        """Yield the chunks of some documents, with text and vector if asked for."""
        chosen = q.Filter(must=[filters.entries_in(entries)], must_not=[filters.HEAD])
        for record in self._store.scroll(
            self._collection,
            chosen,
            fields=CHUNK_TEXT_FIELDS if with_vectors else CHUNK_FIELDS,
            with_vectors=with_vectors,
            page=VECTOR_PAGE if with_vectors else PAGE,
        ):
            yield FoundChunk(str(record.id), record.payload or {}, _vector_of(record))

    def scan_changed(self, revision: int) -> Iterator[str]:
        """Yield the entry of every point that a read newer than `revision` wrote, once per point."""
        yield from self._entries_of(q.Filter(must=[filters.revision_above(revision)]))

    def scan_texts(self, entries: Sequence[str]) -> Iterator[str]:
        """Yield the texts of some cleaned documents; a tombstone has none to give."""
        those = [filters.HEAD, filters.entries_in(entries)]
        chosen = q.Filter(must=those, must_not=[filters.DELETED, TEXTLESS])
        fields = ["cleaned_content"]
        for record in self._store.scroll(self._collection, chosen, fields=fields, page=TEXT_PAGE):
            if isinstance(text := (record.payload or {}).get("cleaned_content"), str):
                yield text

    def surviving_texts(self, entries: Sequence[str]) -> Iterator[str]:
        """Yield those of some documents whose tombstones still hold text."""
        chosen = q.Filter(
            must=[filters.HEAD, filters.DELETED, filters.entries_in(entries)], must_not=[TEXTLESS]
        )
        yield from self._entries_of(chosen)

    def count_by_recipe(self, usual: str) -> dict[str, int]:
        """Count points per recipe, by its short hash; "" stands for points that name none.

        Points of the `usual` recipe are all that the others leave, so that points which come and go
        meanwhile are never taken for those of another one.
        """
        others: dict[str, int] = {}
        while len(others) < RECIPES_AT_MOST:
            known = q.FieldCondition(key="recipe", match=q.MatchAny(any=[usual, *others]))
            rest = q.Filter(must_not=[known])
            record = next(self._store.scroll(self._collection, rest, fields=["recipe"], page=1), None)
            if record is None:
                break
            recipe = (record.payload or {}).get("recipe")
            if not isinstance(recipe, str):
                others[""] = self._store.count(self._collection, rest)
                break
            this = q.FieldCondition(key="recipe", match=q.MatchValue(value=recipe))
            others[recipe] = self._store.count(self._collection, q.Filter(must=[this]))
        ours = max(0, self._store.count(self._collection) - sum(others.values()))
        return {recipe: count for recipe, count in {usual: ours, **others}.items() if count}

    def delete_points(self, point_ids: Collection[str]) -> None:
        """Delete points by id, whatever they say they are."""
        if point_ids:
            chosen = q.Filter(must=[q.HasIdCondition(has_id=_ids_of(point_ids))])
            self._store.delete(self._collection, chosen)

    def delete_entries(self, entries: Collection[str]) -> None:
        """Delete all points of entries that no document can have."""
        if entries:
            self._store.delete(self._collection, q.Filter(must=[filters.entries_in(entries)]))

    def _entries_of(self, chosen: q.Filter) -> Iterator[str]:
        for record in self._store.scroll(self._collection, chosen, fields=["entry"]):
            if isinstance(entry := (record.payload or {}).get("entry"), str):
                yield entry


def _ids_of(names: Iterable[str]) -> list[q.ExtendedPointId]:
    """Return ids as Qdrant knows them: whole numbers, and UUIDs as text."""
    return [int(name) if name.isdigit() else name for name in names]


def _head_of(record: q.Record) -> Head | None:
    try:
        return Head.model_validate(record.payload or {})
    except ValidationError:
        return None


def _vector_of(record: q.Record) -> tuple[float, ...] | None:
    vector = record.vector
    if not isinstance(vector, list) or not all(isinstance(number, int | float) for number in vector):
        return None
    return tuple(float(number) for number in vector if isinstance(number, int | float))
