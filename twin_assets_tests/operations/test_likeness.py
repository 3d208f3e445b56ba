from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import pytest

from twin_assets.models.base import text_hash
from twin_assets.models.embedded import vector_hash
from twin_assets.models.head import Head
from twin_assets.models.kinds import DataType, Snapshot
from twin_assets.models.recipe import VectorRecipe
from twin_assets.operations.likeness import ChunkTally, is_edited_head
from twin_assets.operations.processors import Processors
from twin_assets.operations.version import Version
from twin_assets.processing.dispatch import RawDispatcher
from twin_assets.store import points
from twin_assets.store.found import FoundChunk, FoundHead
from twin_assets_tests.store.builders import RECIPE, embed, generation, wanted

VECTOR, CLEANED = generation(), generation(Snapshot.CLEANED)
WANTED = wanted("one two one")
assert WANTED.cleaned is not None
ORIGIN = {"platform": "p", "author_id": "a", "link": None, "image": None}
QUICK = Version(WANTED.source_hash, origin=ORIGIN)
DEEP = Version(WANTED.source_hash, origin=ORIGIN, cleaned=WANTED.cleaned)
DEPTHS = [(QUICK, False), (DEEP, True)]


def head_of(snapshot, **fields: Any) -> FoundHead:
    point = points.document_head(
        snapshot,
        WANTED.cleaned,
        revision=7,
        chunk_count=len(WANTED.chunks) if snapshot is VECTOR else 0,
        settled=True,
    )
    payload = (point.payload or {}) | fields
    return FoundHead(Head.model_validate(payload), payload)


def chunks(number: int = -1, **fields: Any) -> list[FoundChunk]:
    """Return the document's chunks as written, one of them with other fields."""
    found = []
    for place, embedded in enumerate(embed(WANTED.chunks)):
        hashes = {"source_hash": WANTED.source_hash, "content_hash": WANTED.content_hash}
        point = points.chunk_point(embedded, revision=7, **hashes)
        own = dict(fields) if place == number else {}
        vector = own.pop("vector", tuple(point.vector))
        found.append(FoundChunk(str(point.id), (point.payload or {}) | own, vector))
    return found


def tally(
    found: Iterable[FoundChunk], version: Version = DEEP, *, head: FoundHead | None = None, deep: bool = True
) -> ChunkTally:
    seen = ChunkTally(VECTOR, head or head_of(VECTOR), version, with_texts=deep)
    for chunk in found:
        seen.add(chunk)
    return seen


def hashed(*vector: float) -> dict[str, object]:
    return {"vector": vector, "vector_hash": vector_hash(list(vector))}


@pytest.mark.parametrize(("version", "deep"), DEPTHS)
def test_what_was_written_is_as_it_should_be(version, deep):
    seen = tally(chunks(), version, deep=deep)
    assert (seen.count, seen.is_whole, seen.is_edited, seen.has_unsound) == (3, True, False, False)
    for snapshot in (VECTOR, CLEANED):
        assert not is_edited_head(head_of(snapshot), version, snapshot, with_texts=deep)


@pytest.mark.parametrize(("version", "deep"), DEPTHS)
@pytest.mark.parametrize(
    "fields",
    [
        {"id": "2"},
        {"type": "articles"},
        {"platform": "forged"},
        {"author_id": "forged"},
        {"link": "forged"},
        {"image": "forged"},
        {"author_id": None},
        {"chunk_count": 4},
        {"chunk_index": "1"},
        {"start": None},
        {"end": 4.5},
        {"content_hash": "forged"},
        {"source_hash": "forged"},
        {"revision": 8},
        {"revision": 6},
        {"revision": None, "source_hash": WANTED.source_hash},
    ],
)
def test_an_altered_field_of_a_chunk_is_seen_without_its_text(fields, version, deep):
    seen = tally(chunks(1, **fields), version, deep=deep)
    assert seen.is_edited
    assert seen.count == 3
    assert not seen.has_unsound


@pytest.mark.parametrize(
    "fields",
    [
        {"content": "forged"},
        {"content": None},
        {"start": 0},
        {"end": 5},
        {"start": 0, "end": 3},
        {"start": -3},
    ],
)
def test_an_altered_text_or_place_is_seen_with_the_text_alone(fields):
    assert tally(chunks(1, **fields)).is_edited
    assert not tally(chunks(1, content="forged"), QUICK, deep=False).is_edited


def test_equal_texts_of_a_document_are_told_apart_by_their_places():
    first, second, third = chunks()
    swapped = [
        FoundChunk(first.point_id, first.payload | {"start": 8, "end": 11}),
        second,
        FoundChunk(third.point_id, third.payload | {"start": 0, "end": 3}),
    ]
    assert not tally(swapped).is_edited  # both still say what stands there
    assert tally([first, second, FoundChunk(third.point_id, first.payload)]).is_whole is False


@pytest.mark.parametrize(
    "fields",
    [
        {"vector": None},
        {"vector_hash": "forged"},
        hashed(1.0),
        hashed(2.0, *[0.0] * 7),
        hashed(math.nan, *[0.0] * 7),
        hashed(math.inf, *[0.0] * 7),
        {"vector": chunks()[0].vector},
    ],
)
def test_an_altered_vector_is_unsound_and_no_edited_text(fields):
    seen = tally(chunks(1, **fields))
    assert seen.has_unsound
    assert not seen.is_edited


@pytest.mark.parametrize("version", [QUICK, DEEP])
def test_chunks_have_to_be_numbered_without_a_gap(version):
    deep = version is DEEP
    assert not tally(chunks(1, chunk_index=2), version, deep=deep).is_whole
    assert not tally(chunks(1, chunk_index=-1), version, deep=deep).is_whole
    assert not tally(chunks(1, chunk_index=1 << 60), version, deep=deep).is_whole
    assert not tally(chunks()[:2], version, deep=deep).is_whole


def test_a_forged_count_does_not_hide_a_lost_chunk():
    kept = [FoundChunk(each.point_id, each.payload | {"chunk_count": 2}, each.vector) for each in chunks()]
    seen = tally(kept[:2], head=head_of(VECTOR, chunk_count=2))
    assert not seen.is_edited
    assert not seen.is_whole
    assert not tally(chunks(), head=head_of(VECTOR, chunk_count=1 << 60)).is_whole


def test_what_an_older_version_left_is_counted_and_not_called_edited():
    left = FoundChunk("left", chunks()[0].payload | {"revision": 3, "source_hash": "older"})
    seen = tally([*chunks(), left])
    assert seen.count == 4
    assert not seen.is_edited


def test_a_chunk_of_another_recipe_is_named_as_such():
    seen = tally(chunks(1, recipe="older"))
    assert seen.recipes == {RECIPE.short, "older"}
    assert not seen.is_edited
    assert seen.is_whole


def test_of_a_version_that_is_gone_the_text_is_compared_with_its_own_id():
    stale = Version("newer", origin={"platform": "newer"}, cleaned=wanted("newer").cleaned)
    assert not tally(chunks(), stale).is_edited
    assert tally(chunks(1, content="forged"), stale).is_edited


@pytest.mark.parametrize(("version", "deep"), DEPTHS)
@pytest.mark.parametrize("fields", [{"id": "2"}, {"platform": "forged"}, {"author_id": None}, {"link": "x"}])
def test_an_altered_field_of_a_cleaned_document_is_seen(fields, version, deep):
    assert is_edited_head(head_of(CLEANED, **fields), version, CLEANED, with_texts=deep)


@pytest.mark.parametrize(
    "fields",
    [
        {"cleaned_content": "forged"},
        {"cleaned_content": None},
        {"content_hash": "forged"},
        {"cleaned_content": "forged", "content_hash": text_hash("forged")},
    ],
)
def test_an_altered_text_of_a_cleaned_document_is_seen_even_where_its_hash_was_forged_too(fields):
    assert is_edited_head(head_of(CLEANED, **fields), DEEP, CLEANED, with_texts=True)


def test_a_forged_hash_of_a_vector_head_is_seen():
    assert is_edited_head(head_of(VECTOR, content_hash="forged"), DEEP, VECTOR, with_texts=True)
    assert tally(chunks(), QUICK, head=head_of(VECTOR, content_hash="forged"), deep=False).is_edited


def test_the_last_good_version_of_a_refused_document_is_held_against_its_own_hash():
    refused = Version("refused", is_rejected=True)
    good = {"quarantined": True, "quarantine_hash": "refused"}
    assert not is_edited_head(head_of(CLEANED, **good), refused, CLEANED, with_texts=True)
    forged = head_of(CLEANED, **good, cleaned_content="forged")
    assert is_edited_head(forged, refused, CLEANED, with_texts=True)


def test_a_good_document_that_was_marked_as_refused_by_hand_is_seen():
    marked = head_of(CLEANED, quarantined=True, quarantine_hash=WANTED.source_hash)
    assert is_edited_head(marked, DEEP, CLEANED, with_texts=True)


@pytest.fixture(scope="module")
def repository():
    """The chunks of two files, and what the vectors' head and MongoDB say of them."""
    recipe = VectorRecipe(**RECIPE.model_dump() | {"chunk_size": 60, "max_tokens": 256})
    document = {"name": "r", "link": "l", "owner_id": "o"}
    content = {"a/empty.py": "", "a/one.py": "x = 1\n" * 40, "b.md": "# B\n\ntext\n"}
    raw = RawDispatcher.dispatch(DataType.REPOSITORIES, "int:1", document | {"content": content})
    processors = Processors(max_chunks=100)
    cleaned = processors.clean(recipe.cleaned, raw)
    cut = processors.chunk(recipe, cleaned)
    target = VECTOR.model_copy(update={"type": DataType.REPOSITORIES, "recipe": recipe})
    hashes = {"source_hash": cleaned.source_hash, "content_hash": cleaned.content_hash}
    rows = [points.chunk_point(row, revision=7, **hashes) for row in processors.embed(recipe, cut)]
    head = points.document_head(target, cleaned, revision=7, chunk_count=len(cut), settled=True).payload
    found = FoundHead(Head.model_validate(head), head or {})
    chunks_found = [FoundChunk(str(row.id), row.payload or {}, tuple(row.vector)) for row in rows]
    return target, found, Version(raw.source_hash, origin=document, cleaned=cleaned), chunks_found


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, False),
        ({"path": "forged.py"}, True),
        ({"language": "cobol"}, True),
        ({"start_line": 99}, True),
        ({"owner_id": "forged"}, True),
    ],
)
def test_the_place_in_its_file_of_every_piece_of_code_is_compared(repository, fields, expected):
    target, head, version, found = repository
    seen = ChunkTally(target, head, version, with_texts=True)
    for number, chunk in enumerate(found):
        seen.add(
            FoundChunk(chunk.point_id, dict(chunk.payload) | (fields if number == 2 else {}), chunk.vector)
        )
    assert len(found) > 3
    assert (seen.is_edited, seen.is_whole, seen.has_unsound) == (expected, True, False)
