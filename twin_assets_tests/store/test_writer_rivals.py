"""Two writers of one document, one of which writes between the plan and the finish of the other."""

from __future__ import annotations

import pytest
from qdrant_client import models as q

from twin_assets.store import filters
from twin_assets.store.writer import GenerationWriter
from twin_assets_tests.store.builders import embed, refused, wanted
from twin_assets_tests.store.test_writer import words

pytestmark = pytest.mark.servers


@pytest.mark.parametrize("zombie", ["a x", "b a", "x", "a b c"])
def test_a_touch_takes_no_chunk_of_a_rival_over(store, vectors, write, zombie):
    write("a b", revision=5)
    writer = GenerationWriter(store, vectors, revision=7)
    plans = writer.plan([wanted("a b")])
    late = GenerationWriter(store, vectors, revision=6)
    late_plans = late.plan([wanted(zombie)])
    late.stage((late_plans[0], chunk) for chunk in embed(late_plans[0].new))
    writer.finish(plans, embed=embed)
    assert words(store, vectors.collection) == ["a", "b"]
    late.finish(late_plans, embed=embed)
    assert words(store, vectors.collection) == ["a", "b"]
    assert {record.payload["revision"] for record in store.scroll(vectors.collection)} == {7}


def test_finishing_a_good_version_leaves_the_chunks_of_a_newer_rival(store, vectors, write):
    write("a b", revision=5)
    mine = q.Filter(must=[filters.HEAD])
    store.set_payloads(vectors.collection, [({"settled": False}, mine)])
    writer = GenerationWriter(store, vectors, revision=6)
    plans = writer.plan([refused("bad")])
    newer = GenerationWriter(store, vectors, revision=7)
    newer_plans = newer.plan([wanted("a x")])
    newer.stage((newer_plans[0], chunk) for chunk in embed(newer_plans[0].new))
    writer.finish(plans, embed=embed)
    assert "x" in words(store, vectors.collection)


@pytest.mark.parametrize("zombie", ["a b", "x a b", "b b"])
def test_a_kept_chunk_that_a_rival_moved_after_the_plan_is_put_back_in_its_place(
    store, vectors, write, zombie
):
    write("b", revision=5)
    writer = GenerationWriter(store, vectors, revision=7)
    plans = writer.plan([wanted("b c")])
    late = GenerationWriter(store, vectors, revision=6)
    late_plans = late.plan([wanted(zombie)])
    late.stage((late_plans[0], chunk) for chunk in embed(late_plans[0].new))
    late.finish(late_plans, embed=embed)
    writer.stage((plans[0], chunk) for chunk in embed(plans[0].new))
    writer.finish(plans, embed=embed)
    assert words(store, vectors.collection) == ["b", "c"]
    places = {payload["content"]: payload["chunk_index"] for payload in chunk_payloads(store, vectors)}
    assert places == {"b": 0, "c": 1}


def test_a_touch_whose_chunks_a_rival_of_the_same_time_took_over_leaves_no_gap(store, vectors, write):
    write("b", revision=5)
    writer = GenerationWriter(store, vectors, revision=6)
    plans = writer.plan([wanted("b")])
    rival = GenerationWriter(store, vectors, revision=5)
    rival_plans = rival.plan([wanted("a b", force=True)])
    rival.stage((rival_plans[0], chunk) for chunk in embed(rival_plans[0].new))
    writer.finish(plans, embed=embed)
    rival.finish(rival_plans, embed=embed)
    assert [payload["content"] for payload in chunk_payloads(store, vectors)] == ["b"]


def chunk_payloads(store, vectors) -> list[dict]:
    records = store.scroll(vectors.collection)
    return [record.payload for record in records if not record.payload.get("head")]
