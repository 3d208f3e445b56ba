from __future__ import annotations

from uuid import uuid4

import pytest

from twin_assets.models.base import Snapshot
from twin_assets.operations.audit import AuditReport, audit
from twin_assets.operations.differences import Difference
from twin_assets.operations.repair import repair
from twin_assets_tests.operations.auditing import Spoiler, change, move_watermark, post

pytestmark = pytest.mark.servers


def test_all_that_was_spoilt_is_mended_through_the_queue(twin, documents, apply):
    documents.posts.insert_many([post(number) for number in range(1, 14)])
    apply([change(number) for number in range(1, 14)])
    documents.posts.delete_many({"_id": {"$in": [1, 2]}})
    apply([change(1)])
    documents.posts.insert_one(post(20))
    documents.posts.replace_one({"_id": 3}, post(3, "another text"))
    spoiler, cleaned = Spoiler(twin, Snapshot.VECTOR), Spoiler(twin, Snapshot.CLEANED)
    chunk = spoiler.chunk(10)
    spoiler.put(spoiler.chunk(4), point_id=str(uuid4()), entry="int:1")
    spoiler.delete(spoiler.head_id(5))
    spoiler.delete(str(spoiler.chunk(6).id))
    spoiler.set(spoiler.head_id(7), settled=False)
    spoiler.set(str(spoiler.chunk(8).id), recipe="forged")
    spoiler.set(str(spoiler.chunk(9).id), content="forged")
    spoiler.put(chunk, vector=[-number for number in chunk.vector])
    spoiler.set(spoiler.head_id(11), revision=1 << 52)
    spoiler.set(spoiler.head_id(11), source_hash="forged")
    spoiler.put(spoiler.chunk(13), point_id=str(uuid4()), entry="str:never there")
    spoiler.put(spoiler.chunk(13), point_id=str(uuid4()), entry=None)
    spoiler.put(spoiler.chunk(13), point_id=str(uuid4()), entry="no kind")
    spoiler.set(spoiler.head_id(12), entry=["no", "entry"])
    cleaned.set(cleaned.head_id(1), cleaned_content="what was erased")
    cleaned.set(cleaned.head_id(13), cleaned_content="forged")
    move_watermark(twin)
    reports = [audit(twin, each.generation, with_vectors=True) for each in (spoiler, cleaned)]
    assert repair(twin, *reports) == len(twin.publisher.changes) == 14
    assert all(change.force for change in twin.publisher.changes)
    apply(twin.publisher.changes)
    for each in (spoiler, cleaned):
        assert audit(twin, each.generation, with_vectors=True).differences == {}


def test_every_differing_document_is_published_once_and_not_only_those_shown(twin, documents):
    documents.posts.insert_many([post(number) for number in range(30)])
    move_watermark(twin)
    reports = [audit(twin, Spoiler(twin, snapshot).generation) for snapshot in Snapshot]
    assert len(reports[0].first(Difference.MISSING)) == 20
    assert repair(twin, *reports) == 30
    assert {each.entry for each in twin.publisher.changes} == {f"int:{number}" for number in range(30)}


def test_nothing_is_published_for_refused_documents(twin):
    report = AuditReport(Spoiler(twin, Snapshot.VECTOR).generation)
    report.add(Difference.UNPROCESSABLE, ["int:1", "an _id of kind float is not supported: 1.5"])
    assert repair(twin, report) == 0
    assert twin.publisher.changes == []
