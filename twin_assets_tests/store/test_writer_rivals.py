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
