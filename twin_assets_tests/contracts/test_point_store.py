"""The store in memory beside a real Qdrant: the same writes leave the same points and answers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from qdrant_client import models as q

from twin_assets.errors import GenerationMissing
from twin_assets.models.chunk import head_point_id
from twin_assets.store import filters
from twin_assets.store.generations import GenerationCollections
from twin_assets.store.point_store import PointStore
from twin_assets.store.points import chunk_point, document_head, quarantine_head, tombstone
from twin_assets_tests.store.builders import chunks_of, embed, generation, wanted
from twin_assets_tests.store.memory_store import MemoryStore

pytestmark = pytest.mark.servers

GENERATION = generation()
NAME = GENERATION.collection
ENTRY = "int:1"


@pytest.fixture
def stores(qdrant_url: str) -> Iterator[tuple[MemoryStore, PointStore]]:
    with PointStore(qdrant_url) as real:
        collections = GenerationCollections(real)
        collections.drop(NAME)
        collections.create(GENERATION)
        yield MemoryStore({NAME: {}}), real
        collections.drop(NAME)


def chunk_points(text: str, *, revision: int) -> list[q.PointStruct]:
    cleaned = wanted(text).cleaned
    return [
        chunk_point(
            row, revision=revision, source_hash=cleaned.source_hash, content_hash=cleaned.content_hash
        )
        for row in embed(chunks_of(cleaned))
    ]


def head_point(text: str | None, *, revision: int, settled: bool = False) -> q.PointStruct:
    if text is None:
        return tombstone(GENERATION, ENTRY, revision=revision, settled=settled)
    cleaned = wanted(text).cleaned
    count = len(text.split())
    return document_head(GENERATION, cleaned, revision=revision, chunk_count=count, settled=settled)


def upsert(text: str | None, *, revision: int) -> Callable[[PointStore], Any]:
    rows = chunk_points(text, revision=revision) if text else []
    return lambda store: store.upsert(NAME, [*rows, head_point(text, revision=revision)], revision=revision)


def refuse(*, revision: int) -> Callable[[PointStore], Any]:
    head = quarantine_head(GENERATION, ENTRY, revision=revision, quarantine_hash="bad")
    no_good_one = [filters.hashes_in([""])]
    return lambda store: store.upsert(NAME, [head], revision=revision, over=no_good_one)


def set_payloads(*updates: tuple[dict[str, Any], q.Filter]) -> Callable[[PointStore], Any]:
    return lambda store: store.set_payloads(NAME, updates)


def delete(chosen: q.Filter) -> Callable[[PointStore], Any]:
    return lambda store: store.delete(NAME, chosen)


HASH = wanted("a b").source_hash
CHUNKS_BELOW = q.Filter(
    must=[filters.entries_in([ENTRY]), filters.revision_below(6)], must_not=[filters.HEAD]
)
HISTORIES: dict[str, list[Callable[[PointStore], Any]]] = {
    "an older upsert is refused point by point": [upsert("a b", revision=5), upsert("b c", revision=4)],
    "an equal revision overwrites": [upsert("a b", revision=5), upsert("b c", revision=5)],
    "a newer upsert replaces the whole payload": [
        upsert("a b", revision=5),
        set_payloads(({"extra": 1}, q.Filter(must=[filters.HEAD]))),
        upsert("a", revision=6),
    ],
    "a payload is merged, and null removes": [
        upsert("a b", revision=5),
        set_payloads(
            ({"settled": True, "link": "x"}, q.Filter(must=[filters.HEAD, filters.revision_is(5)])),
            ({"link": None}, q.Filter(must=[filters.SETTLED])),
        ),
    ],
    "moved by source version, fenced": [
        upsert("a b", revision=5),
        upsert("c", revision=7),
        set_payloads(
            ({"revision": 6}, q.Filter(must=[filters.hashes_in({HASH}), filters.revision_at_most(6)]))
        ),
    ],
    "chunks below go, heads stay": [
        upsert("a b", revision=5),
        upsert("c", revision=6),
        delete(CHUNKS_BELOW),
    ],
    "a tombstone is told from a document": [
        upsert("a b", revision=5),
        upsert(None, revision=6),
        delete(q.Filter(must=[filters.HEAD, filters.DELETED, filters.revision_above(6)])),
    ],
    "a refused document never replaces a good one": [
        upsert("a b", revision=5),
        refuse(revision=5),
        refuse(revision=6),
    ],
    "a refused document replaces a tombstone that is not newer": [
        upsert(None, revision=5),
        refuse(revision=4),
        refuse(revision=6),
    ],
    "points go by id": [
        upsert("a b", revision=5),
        delete(q.Filter(must=[filters.ids_in([str(chunk_points("b", revision=1)[0].id)])])),
    ],
}


@pytest.mark.parametrize("history", HISTORIES)
def test_the_same_writes_leave_the_same_points(stores, history):
    memory, real = stores
    for write in HISTORIES[history]:
        write(memory)
        write(real)
    held = {str(record.id): record.payload for record in real.scroll(NAME)}
    assert memory.collections[NAME] == held
    assert held, "a history that leaves nothing compares nothing"
    for read in (
        lambda store: store.heads(NAME, [head_point_id(f"posts/{ENTRY}")]),
        lambda store: store.chunks(NAME, [ENTRY, "int:2"]),
        lambda store: store.revisions(NAME, sorted(held)),
    ):
        assert read(memory) == read(real)


def test_a_missing_collection_is_missed_by_both(stores):
    for store in stores:
        with pytest.raises(GenerationMissing):
            store.heads("vector_posts__g0099", [head_point_id(f"posts/{ENTRY}")])
        with pytest.raises(GenerationMissing):
            store.upsert("vector_posts__g0099", [head_point("a", revision=1)], revision=1)
