"""Reads and fenced writes of points. Every write waits until Qdrant has applied it.

A write carries the revision of the read that it stems from and is refused, point by point, where a
newer one stands; so late, repeated and rival writers are harmless.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from qdrant_client import models as q

from twin_assets.models.head import Head
from twin_assets.settings import Settings, without_credentials
from twin_assets.store import filters
from twin_assets.store.client import connect, translated
from twin_assets.store.points import (
    CHUNK_FIELDS,
    HEAD_FIELDS,
    VECTOR_FIELDS,
    StoredChunk,
    StoredVector,
    pages_of,
    stored_chunk,
    stored_head,
    stored_vector,
)

PAGE = 1000
WRITE_PAGE = 256
VECTOR_PAGE = 256


class PointStore:
    """The points of all generations. Owns its client; thread-safe."""

    def __init__(
        self, url: str, *, api_key: str | None = None, ca_file: Path | None = None, timeout_s: int = 30
    ) -> None:
        self.url = url
        self.client = connect(url, api_key=api_key, ca_file=ca_file, timeout_s=timeout_s)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self.client.close()

    def check(self) -> None:
        """Raise StoreUnavailable unless Qdrant answers."""
        with translated(self.url):
            self.client.get_aliases()

    @property
    def place(self) -> str:
        """The URL without credentials."""
        return without_credentials(self.url)

    def heads(self, collection: str, head_ids: Collection[str]) -> dict[str, Head]:
        """Return the heads that exist, by `type/entry`."""
        if not head_ids:
            return {}
        with translated(self.url, collection):
            records = self.client.retrieve(collection, list(head_ids), with_payload=HEAD_FIELDS)
        heads = (stored_head(record) for record in records)
        return {head.key: head for head in heads if head is not None}

    def chunks(self, collection: str, entries: Collection[str]) -> dict[str, list[StoredChunk]]:
        """Return all chunks of some documents, without text and vectors, by entry."""
        found: dict[str, list[StoredChunk]] = {entry: [] for entry in entries}
        if not entries:
            return found
        chosen = q.Filter(must=[filters.entries_in(entries)], must_not=[filters.HEAD])
        for record in self.scroll(collection, chosen, fields=CHUNK_FIELDS):
            chunk = stored_chunk(record)
            found[chunk.entry].append(chunk)
        return found

    def chunk_texts(self, collection: str, entry: str) -> list[str]:
        """Return the texts of a document's chunks, in their order."""
        chosen = q.Filter(must=[filters.entries_in([entry])], must_not=[filters.HEAD])
        records = self.scroll(collection, chosen, fields=["content", "chunk_index"])
        payloads = sorted((record.payload or {} for record in records), key=lambda each: each["chunk_index"])
        return [payload["content"] for payload in payloads]

    def revisions(self, collection: str, point_ids: Sequence[str]) -> dict[str, int]:
        """Return the revisions of the points that exist, by id."""
        found: dict[str, int] = {}
        for start in range(0, len(point_ids), PAGE):
            page = list(point_ids[start : start + PAGE])
            with translated(self.url, collection):
                records = self.client.retrieve(collection, page, with_payload=["revision"])
            found |= {str(record.id): int((record.payload or {})["revision"]) for record in records}
        return found

    def vectors(self, collection: str, point_ids: Sequence[str]) -> dict[str, StoredVector]:
        """Return text and vector of the chunks that exist, by id, without those that were altered."""
        found: dict[str, StoredVector] = {}
        for start in range(0, len(point_ids), VECTOR_PAGE):
            page = list(point_ids[start : start + VECTOR_PAGE])
            with translated(self.url, collection):
                records = self.client.retrieve(
                    collection, page, with_payload=list(VECTOR_FIELDS), with_vectors=True
                )
            found |= {str(each.id): vector for each in records if (vector := stored_vector(each))}
        return found

    def payloads(self, collection: str, point_ids: Sequence[str]) -> list[dict[str, Any]]:
        """Return the payloads of the points that exist."""
        if not point_ids:
            return []
        with translated(self.url, collection):
            records = self.client.retrieve(collection, list(point_ids), with_payload=True)
        return [record.payload or {} for record in records]

    def scroll(
        self,
        collection: str,
        chosen: q.Filter | None = None,
        *,
        fields: Sequence[str] | bool = True,
        with_vectors: bool = False,
        page: int = PAGE,
    ) -> Iterator[q.Record]:
        """Yield points in the order of their ids, a page in memory at a time."""
        offset: Any = None
        payload = list(fields) if not isinstance(fields, bool) else fields
        while True:
            with translated(self.url, collection):
                records, offset = self.client.scroll(
                    collection,
                    scroll_filter=chosen,
                    limit=page,
                    offset=offset,
                    with_payload=payload,
                    with_vectors=with_vectors,
                )
            yield from records
            if offset is None:
                return

    def scan_heads(self, collection: str) -> Iterator[Head]:
        """Yield every head, tombstones and quarantined ones included."""
        chosen = q.Filter(must=[filters.HEAD])
        for record in self.scroll(collection, chosen, fields=HEAD_FIELDS):
            if (head := stored_head(record)) is not None:
                yield head

    def head_entries(self, collection: str) -> Iterator[list[str]]:
        """Yield the entries of all documents that are not tombstones, a page at a time."""
        chosen = q.Filter(must=[filters.HEAD], must_not=[filters.DELETED])
        page: list[str] = []
        for record in self.scroll(collection, chosen, fields=["entry"]):
            page.append((record.payload or {})["entry"])
            if len(page) == PAGE:
                yield page
                page = []
        if page:
            yield page

    def upsert(
        self,
        collection: str,
        points: Sequence[q.PointStruct],
        *,
        revision: int,
        over: Sequence[q.FieldCondition] = (),
    ) -> None:
        """Write points that are absent or not newer than `revision`, and over what else is asked of them."""
        fence = q.Filter(must=[filters.revision_at_most(revision), *over])
        for page in pages_of(points, WRITE_PAGE):
            with translated(self.url, collection):
                self.client.upsert(collection, page, wait=True, update_filter=fence)

    def set_payloads(self, collection: str, updates: Sequence[tuple[dict[str, Any], q.Filter]]) -> None:
        """Set some payload fields, in order, on the points that each filter matches."""
        for start in range(0, len(updates), WRITE_PAGE):
            operations: list[Any] = [
                q.SetPayloadOperation(set_payload=q.SetPayload(payload=payload, filter=chosen))
                for payload, chosen in updates[start : start + WRITE_PAGE]
            ]
            with translated(self.url, collection):
                self.client.batch_update_points(collection, operations, wait=True)

    def delete(self, collection: str, chosen: q.Filter) -> None:
        """Delete the points that a filter matches."""
        with translated(self.url, collection):
            self.client.delete(collection, q.FilterSelector(filter=chosen), wait=True)

    def count(self, collection: str, chosen: q.Filter | None = None) -> int:
        """Count points exactly."""
        with translated(self.url, collection):
            return self.client.count(collection, count_filter=chosen, exact=True).count

    def count_documents(self, collection: str) -> int:
        """Count heads that are neither tombstones nor quarantined before their first good version."""
        empty = q.Filter(
            must=[
                q.FieldCondition(key="quarantined", match=q.MatchValue(value=True)),
                q.FieldCondition(key="source_hash", match=q.MatchValue(value="")),
            ]
        )
        return self.count(collection, q.Filter(must=[filters.HEAD], must_not=[filters.DELETED, empty]))

    def count_quarantined(self, collection: str) -> int:
        """Count heads whose newest version was refused."""
        refused = q.FieldCondition(key="quarantined", match=q.MatchValue(value=True))
        return self.count(collection, q.Filter(must=[filters.HEAD, refused]))

    def count_chunks(self, collection: str) -> int:
        """Count chunks: all points that are no heads."""
        return self.count(collection, q.Filter(must_not=[filters.HEAD]))

    def chunks_by(self, collection: str, field: str, *, limit: int = 1_000_000) -> dict[str, int]:
        """Count chunks per value of an indexed keyword field, exactly."""
        with translated(self.url, collection):
            facet = self.client.facet(
                collection, field, facet_filter=q.Filter(must_not=[filters.HEAD]), limit=limit, exact=True
            )
        return {str(hit.value): hit.count for hit in facet.hits}

    def search(
        self, collection: str, vector: Sequence[float], *, limit: int, author_id: str | None = None
    ) -> list[q.ScoredPoint]:
        """Return the nearest chunks, best first; heads have no vector and never match."""
        chosen = None if author_id is None else filters.written_by(author_id)
        with translated(self.url, collection):
            return self.client.query_points(
                collection, query=list(vector), query_filter=chosen, limit=limit, with_payload=True
            ).points

    def sweep_tombstones(self, collection: str, *, below: int) -> None:
        """Delete tombstones with a revision below `below`."""
        self.delete(collection, q.Filter(must=[filters.HEAD, filters.DELETED, filters.revision_below(below)]))


def open_store(settings: Settings, *, timeout_s: int | None = None) -> PointStore:
    """Return the store that the settings name. Raises ConfigurationError where they name none."""
    key = settings.qdrant_api_key
    return PointStore(
        settings.require_url("qdrant_url"),
        api_key=key.get_secret_value() if key else None,
        ca_file=settings.qdrant_ca_file,
        timeout_s=timeout_s or settings.qdrant_timeout_s,
    )
