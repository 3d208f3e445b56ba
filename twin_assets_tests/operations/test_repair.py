from __future__ import annotations

from uuid import uuid4

import pytest

from twin_assets.models.kinds import DataType, Snapshot
from twin_assets.operations.audit import AuditReport, audit
from twin_assets.operations.differences import Difference
from twin_assets.operations.repair import audit_live, await_mended, repair
from twin_assets.processing.hash_encoder import HashEncoder
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
    done = repair(twin, *reports, is_dry_run=True)
    assert twin.publisher.changes == []
    assert audit(twin, cleaned.generation, with_vectors=True).differences == reports[1].differences
    result = repair(twin, *reports)
    assert result.changes == done.changes
    assert result.documents == len(twin.publisher.changes) == 14
    assert (result.foreign, done.foreign) == (3, 3)
    assert all(change.force for change in twin.publisher.changes)
    apply(twin.publisher.changes)
    await_mended(twin, result, wait_s=0)
    assert result.remaining == {}
    assert result.is_mended
    for each in (spoiler, cleaned):
        assert audit(twin, each.generation, with_vectors=True).differences == {}


def test_every_differing_document_is_published_once_and_not_only_those_shown(twin, documents):
    documents.posts.insert_many([post(number) for number in range(30)])
    move_watermark(twin)
    reports = [audit(twin, Spoiler(twin, snapshot).generation) for snapshot in Snapshot]
    assert len(reports[0].first(Difference.MISSING)) == 20
    assert repair(twin, *reports).documents == 30
    assert {each.entry for each in twin.publisher.changes} == {f"int:{number}" for number in range(30)}


def test_nothing_is_published_for_refused_documents(twin):
    report = AuditReport(Spoiler(twin, Snapshot.VECTOR).generation)
    report.add(Difference.UNPROCESSABLE, ["int:1", "an _id of kind float is not supported: 1.5"])
    assert repair(twin, report).documents == 0
    assert twin.publisher.changes == []


def test_what_may_be_on_its_way_is_left_alone(twin, documents):
    documents.posts.insert_one(post(1))
    report = audit(twin, Spoiler(twin, Snapshot.VECTOR).generation, wait_s=0)
    assert report.count(Difference.MISSING) == 1
    result = repair(twin, report)
    assert (result.documents, result.unconfirmed, result.is_mended) == (0, ["vector_posts"], False)
    assert twin.publisher.changes == []


def test_what_no_stream_has_mended_yet_is_said_to_remain(twin, documents, apply):
    documents.posts.insert_many([post(1), post(2)])
    move_watermark(twin)
    result = repair(twin, *audit_live(twin, [DataType.POSTS]))
    apply([change(2)])
    await_mended(twin, result, wait_s=0)
    assert result.remaining == {"cleaned_posts": ["int:1"], "vector_posts": ["int:1"]}
    assert not result.is_mended


def test_a_forged_revision_is_mended_and_neighbours_are_not_embedded_again(
    twin, documents, apply, monkeypatch
):
    documents.posts.insert_many([post(number) for number in range(6)])
    apply([change(number) for number in range(6)])
    spoiler = Spoiler(twin, Snapshot.VECTOR)
    chunks = twin.store.chunks(spoiler.generation.collection, [f"int:{number}" for number in range(6)])
    spoiler.set(spoiler.head_id(2), revision=1 << 52)
    for chunk in chunks["int:3"]:
        spoiler.set(chunk.point_id, revision=1 << 52)
    without = str(spoiler.chunk(4).id)
    twin.store.client.delete_payload(spoiler.generation.collection, ["revision"], points=[without])
    move_watermark(twin)
    encoded = count_encoded(monkeypatch)
    result = repair(twin, *audit_live(twin, [DataType.POSTS]))
    assert result.changes == {DataType.POSTS: ["int:2", "int:3", "int:4"]}
    apply(twin.publisher.changes)
    assert audit(twin, spoiler.generation, with_vectors=True).differences == {}
    mended = [twin.store.chunk_texts(spoiler.generation.collection, f"int:{number}") for number in (2, 3, 4)]
    assert sorted(encoded) == sorted({text for texts in mended for text in texts})


def count_encoded(monkeypatch) -> list[str]:
    """Note every text that an encoder is given from now on."""
    encoded: list[str] = []
    encode = HashEncoder.encode

    def counted(self, texts):
        encoded.extend(texts)
        return encode(self, texts)

    monkeypatch.setattr(HashEncoder, "encode", counted)
    return encoded
