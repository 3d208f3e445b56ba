"""Rebuilds on real servers: proven before they go live, beside a stream that goes on."""

from __future__ import annotations

import threading

import pytest

from twin_assets.errors import GenerationRejected
from twin_assets.models.generation import GenerationStatus
from twin_assets.models.kinds import DataType, Snapshot
from twin_assets.operations import proof
from twin_assets.operations import rebuild as rebuild_module
from twin_assets.operations import scan as scan_module
from twin_assets.operations.audit import audit
from twin_assets.operations.patience import Stopped
from twin_assets.operations.rebuild import rebuild
from twin_assets_tests.scenarios.documents import article, post, repository, words

pytestmark = pytest.mark.servers

POST, ARTICLE = DataType.POSTS, DataType.ARTICLES
# What says when and where a point was made, not what it says.
FLEETING = {"revision"}


def points(twin, collection: str) -> dict:
    return {
        record.id: (
            {name: value for name, value in record.payload.items() if name not in FLEETING},
            record.vector,
        )
        for record in twin.store.scroll(collection, with_vectors=True)
    }


def assert_same_points(twin, left: str, right: str) -> None:
    one, other = points(twin, left), points(twin, right)
    assert one.keys() == other.keys()
    for point_id, (payload, vector) in one.items():
        assert (point_id, payload) == (point_id, other[point_id][0])
        assert (point_id, vector) == (point_id, other[point_id][1])


def test_a_rebuild_makes_point_by_point_what_the_stream_made(twin, documents, capturing, streaming, in_step):
    documents.posts.insert_many([post(number, words(20 + number)) for number in range(5)])
    documents.articles.insert_many([article(number, words(40, prefix=f"a{number}")) for number in range(5)])
    documents.repositories.insert_one(repository(1, {"a.py": "x = 1\n" * 30, "b.md": "# B\n\ntext"}))
    with capturing(), streaming():
        in_step()
        for data_type in DataType:
            for snapshot in Snapshot:
                before = twin.live_generation(snapshot, data_type)
                report = rebuild(twin, snapshot, data_type)
                after = twin.live_generation(snapshot, data_type)
                assert after.collection == report.generation.collection != before.collection
                assert_same_points(twin, after.collection, before.collection)
                assert twin.collections.aliases()[after.alias] == after.collection


def test_text_for_vectors_comes_from_the_cleaned_snapshot(twin, documents, capturing, streaming, in_step):
    documents.posts.insert_many([post(number, words(20)) for number in range(5)])
    with capturing(), streaming():
        in_step()
        assert rebuild(twin, Snapshot.VECTOR, POST).counts.from_cleaned == 5
        assert rebuild(twin, Snapshot.CLEANED, POST).counts.from_cleaned == 0


def test_writes_during_a_rebuild_reach_both_generations(
    twin, documents, capturing, streaming, in_step, monkeypatch
):
    documents.posts.insert_many([post(number, words(30, prefix=f"p{number}x")) for number in range(40)])
    monkeypatch.setattr(scan_module, "SCAN_BATCH", 5)
    changed = threading.Event()

    def meddle(progress) -> None:
        if progress.documents >= 10 and not changed.is_set():
            changed.set()
            documents.posts.replace_one({"_id": 0}, post(0, "edited behind the scan"))
            documents.posts.replace_one({"_id": 39}, post(39, "edited before the scan"))
            documents.posts.delete_one({"_id": 1})
            documents.posts.delete_one({"_id": 38})
            documents.posts.insert_one(post(99, "born during the scan"))

    with capturing(), streaming():
        in_step()
        old = twin.live_generation(Snapshot.VECTOR, POST)
        rebuild(twin, Snapshot.VECTOR, POST, progress=meddle)
        assert changed.is_set()
        in_step()
        new = twin.live_generation(Snapshot.VECTOR, POST)
        assert_same_points(twin, new.collection, old.collection)
        for generation in (old, new):
            assert audit(twin, generation, with_vectors=True).clean


def test_the_old_generation_stays_fed_as_a_standby(
    twin, documents, capturing, streaming, in_step, chunk_texts
):
    documents.posts.insert_one(post(1, "first"))
    with capturing(), streaming():
        in_step()
        old = twin.live_generation(Snapshot.VECTOR, POST)
        rebuild(twin, Snapshot.VECTOR, POST)
        documents.posts.replace_one({"_id": 1}, post(1, "second"))
        in_step()
        assert twin.store.chunk_texts(old.collection, "int:1") == ["second"]
        status = {found.collection: found.status for found in twin.meta.generations(POST)}
        assert status[old.collection] is GenerationStatus.STANDBY


def test_a_rebuild_that_does_not_pass_leaves_the_live_one_alone(
    twin, documents, capturing, streaming, in_step, monkeypatch
):
    documents.posts.insert_one(post(1, words(20)))
    with capturing(), streaming():
        in_step()
        live = twin.live_generation(Snapshot.VECTOR, POST)
        original = rebuild_module.scan

        def scan_and_lose(context, generation, **named):
            counts = original(context, generation, **named)
            lost = next(iter(twin.store.scroll(generation.collection)))
            twin.store.client.delete(generation.collection, [lost.id])
            return counts

        monkeypatch.setattr(rebuild_module, "scan", scan_and_lose)
        monkeypatch.setattr(proof, "heal", lambda *_: None)
        with pytest.raises(GenerationRejected, match="the live one stays"):
            rebuild(twin, Snapshot.VECTOR, POST)
        assert twin.live_generation(Snapshot.VECTOR, POST) == live
        assert twin.collections.aliases()[live.alias] == live.collection


def test_a_stopped_rebuild_is_taken_up_again(twin, documents, capturing, streaming, in_step, monkeypatch):
    documents.posts.insert_many([post(number, words(30, prefix=f"p{number}x")) for number in range(20)])
    monkeypatch.setattr(scan_module, "SCAN_BATCH", 5)
    stop = threading.Event()
    with capturing(), streaming():
        in_step()
        with pytest.raises(Stopped):
            rebuild(twin, Snapshot.VECTOR, POST, progress=lambda _: stop.set(), stop=stop)
        report = rebuild(twin, Snapshot.VECTOR, POST)
        assert report.is_resumed
        assert report.counts.unchanged >= 5
        assert audit(twin, report.generation, with_vectors=True).clean


def test_a_recipe_change_is_built_beside_the_live_recipe(
    twin, documents, capturing, streaming, in_step, settings
):
    documents.posts.insert_one(post(1, words(40)))
    with capturing(), streaming():
        in_step()
        old = twin.live_generation(Snapshot.VECTOR, POST)
        twin.settings = settings.model_copy(update={"text_model": "hash-48", "text_chunk_size": 90})
        report = rebuild(twin, Snapshot.VECTOR, POST)
        assert report.generation.recipe.dimension == 48
        documents.posts.replace_one({"_id": 1}, post(1, words(50, prefix="new")))
        in_step()
        for generation in (old, report.generation):
            joined = " ".join(twin.store.chunk_texts(generation.collection, "int:1"))
            assert joined == words(50, prefix="new")
            recipes = twin.store.chunks_by(generation.collection, "type")
            assert sum(recipes.values()) > 0
            assert audit(twin, generation, with_vectors=True).clean
