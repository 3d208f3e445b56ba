from __future__ import annotations

from dataclasses import replace

import pytest

from twin_assets.models.head import Head
from twin_assets.models.kinds import DataType
from twin_assets.operations.differences import Difference, Finding, Seen, judge
from twin_assets_tests.store.builders import RECIPE, generation

GENERATION = generation()
HEAD = Head(
    entry="int:1",
    type=DataType.POSTS,
    revision=7,
    source_hash="v1",
    chunk_count=2,
    recipe=RECIPE.short,
    settled=True,
)


def kinds(head: Head | None = HEAD, *, version: str | None = "v1", chunks: int = 2, **fields) -> set[str]:
    seen = Seen("int:1", version, fields.pop("is_rejected", False), head, chunks, **fields)
    return {kind.value for kind in judge(seen, GENERATION).kinds}


def changed(**fields) -> Head:
    return HEAD.model_copy(update=fields)


TOMBSTONE = changed(deleted=True, source_hash="", chunk_count=0)
QUARANTINED = changed(quarantined=True, quarantine_hash="v2")


@pytest.mark.parametrize(
    ("seen", "expected"),
    [
        (kinds(), set()),
        (kinds(None, version=None, chunks=0), set()),
        (kinds(TOMBSTONE, version=None, chunks=0), set()),
        (kinds(None, chunks=0), {"missing"}),
        (kinds(TOMBSTONE, chunks=0), {"missing"}),
        (kinds(version=None), {"orphan"}),
        (kinds(version="v2"), {"stale"}),
        (kinds(chunks=1), {"incomplete"}),
        (kinds(chunks=3), {"incomplete"}),
        (kinds(changed(settled=False)), {"incomplete"}),
        (kinds(None, version=None), {"headless"}),
        (kinds(None), {"missing", "headless"}),
        (kinds(changed(recipe="old")), {"wrong_recipe"}),
        (kinds(recipes=frozenset({"old", RECIPE.short})), {"wrong_recipe"}),
        (kinds(is_whole=False), {"incomplete"}),
        (kinds(has_unsound=True), {"unsound_vector"}),
        (kinds(is_edited=True), {"edited"}),
        (kinds(TOMBSTONE, version=None, chunks=0, is_edited=True), {"edited"}),
        (kinds(TOMBSTONE, version=None), {"surviving_tombstone"}),
        (kinds(TOMBSTONE, version=None, chunks=0, has_surviving_text=True), {"surviving_tombstone"}),
        (kinds(version="v2", is_rejected=True), {"unprocessable"}),
        (kinds(None, chunks=0, is_rejected=True), {"unprocessable"}),
        (kinds(QUARANTINED, version="v2"), {"unprocessable"}),
        (kinds(QUARANTINED, version="v2", chunks=1), {"unprocessable", "incomplete"}),
        (kinds(QUARANTINED, version="v3"), {"stale"}),
        (kinds(QUARANTINED, version=None), {"orphan"}),
    ],
)
def test_each_state_has_its_name(seen, expected):
    assert seen == expected


def test_a_state_is_the_document_and_its_head():
    before = Finding("int:1", frozenset({Difference.STALE}), "v2", 7)
    assert before.is_same_state(replace(before, kinds=frozenset()))
    assert not before.is_same_state(replace(before, version="v3"))
    assert not before.is_same_state(replace(before, head_revision=8))
