from __future__ import annotations

import pytest

from twin_assets.models.base import text_hash
from twin_assets.models.head import Head
from twin_assets.models.kinds import DataType
from twin_assets.store.plan import Action, plan_document
from twin_assets.store.points import StoredChunk, place_of
from twin_assets_tests.store.builders import RECIPE, refused, wanted


def head_of(text: str, *, revision: int = 5, settled: bool = True, **fields) -> Head:
    known = {
        "source_hash": text_hash(text),
        "chunk_count": len(text.split()),
        "recipe": RECIPE.short,
        "settled": settled,
    }
    return Head(entry="int:1", type=DataType.POSTS, revision=revision, **(known | fields))


def stored_of(text: str, *, revision: int = 5, source: str | None = None) -> list[StoredChunk]:
    return [
        StoredChunk(
            point_id=chunk.point_id,
            entry=chunk.entry,
            revision=revision,
            source_hash=text_hash(source or text),
            place=place_of(chunk.model_dump(mode="json")),
        )
        for chunk in wanted(text).chunks
    ]


def plan(document, head, stored, *, revision: int = 7):
    return plan_document(document, head, stored, revision=revision, recipe=RECIPE.short)


def test_a_document_never_seen_is_written_in_full():
    planned = plan(wanted("a b"), None, [])
    assert planned.action is Action.WRITE
    assert [chunk.content for chunk in planned.new] == ["a", "b"]


def test_an_unchanged_settled_document_is_only_touched():
    assert plan(wanted("a b"), head_of("a b"), stored_of("a b")).action is Action.TOUCH


def test_an_edit_keeps_the_untouched_chunks():
    planned = plan(wanted("a c"), head_of("a b"), stored_of("a b"))
    assert planned.action is Action.WRITE
    assert [chunk.content for chunk in planned.new] == ["c"]
    assert [chunk.content for chunk, _ in planned.kept] == ["a"]


@pytest.mark.parametrize(
    ("head", "stored"),
    [
        (head_of("a b", settled=False), stored_of("a b")),
        (head_of("a b", recipe="other"), stored_of("a b")),
        (head_of("a b", quarantined=True), stored_of("a b")),
        (head_of("a b", deleted=True), stored_of("a b")),
        (head_of("a b"), stored_of("a")),
        (head_of("a b"), stored_of("a b c")),
        (head_of("a b"), stored_of("a b", source="b a")),
    ],
    ids=[
        "unsettled",
        "recipe",
        "quarantined",
        "tombstone",
        "chunk lost",
        "leftover",
        "placed by another version",
    ],
)
def test_unchanged_is_concluded_only_when_everything_says_so(head, stored):
    assert plan(wanted("a b"), head, stored).action is Action.WRITE


def test_a_newer_head_is_left_alone():
    assert plan(wanted("a"), head_of("b", revision=8), stored_of("b")).action is Action.SKIP


def test_a_forced_change_keeps_nothing():
    planned = plan(wanted("a b", force=True), head_of("a b"), stored_of("a b"))
    assert (planned.action, len(planned.new), planned.kept) == (Action.WRITE, 2, [])


def test_a_deleted_document_gets_a_tombstone_even_if_it_was_never_seen():
    assert plan(wanted(None), None, []).action is Action.DELETE


def test_a_settled_tombstone_without_chunks_is_only_touched():
    tombstone = head_of("", deleted=True, source_hash="", chunk_count=0)
    assert plan(wanted(None), tombstone, []).action is Action.TOUCH
    assert plan(wanted(None), tombstone, stored_of("a")).action is Action.DELETE


def test_a_refused_version_is_quarantined_once():
    assert plan(refused("bad"), head_of("a"), stored_of("a")).action is Action.QUARANTINE
    known = head_of("a", quarantined=True, quarantine_hash=text_hash("bad"))
    assert plan(refused("bad"), known, stored_of("a")).action is Action.TOUCH
    assert plan(refused("worse"), known, stored_of("a")).action is Action.QUARANTINE
