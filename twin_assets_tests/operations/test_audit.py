from __future__ import annotations

from itertools import count
from uuid import uuid4

import pytest

from twin_assets.models.base import text_hash
from twin_assets.models.change import Change
from twin_assets.models.kinds import DataType, Snapshot
from twin_assets.operations import version
from twin_assets.operations.audit import audit
from twin_assets.operations.differences import Difference
from twin_assets.store.inspection import Inspection
from twin_assets_tests.operations.auditing import Spoiler, change, move_watermark, post

pytestmark = pytest.mark.servers

VECTOR, CLEANED = Snapshot.VECTOR, Snapshot.CLEANED


@pytest.fixture
def fill(twin, documents, apply):
    def run(*numbers: int) -> None:
        documents.posts.insert_many([post(number) for number in numbers])
        apply([change(number) for number in numbers])
        move_watermark(twin)

    return run


def look(twin, spoiler, **options):
    return audit(twin, spoiler.generation, with_vectors=True, **options)


@pytest.mark.parametrize("snapshot", list(Snapshot))
def test_a_filled_generation_is_clean_and_counted(twin, fill, snapshot):
    fill(1, 2, 3)
    spoiler = Spoiler(twin, snapshot)
    seen = []
    report = look(twin, spoiler, batch=2, progress=lambda done, total: seen.append((done, total)))
    assert report.clean
    assert report.differences == {}
    assert (report.source, report.heads, report.quarantined) == (3, 3, 0)
    assert (report.chunks > 3) is (snapshot is VECTOR)
    assert report.confirmed
    assert report.watermark_lag_s == 0
    assert seen[-1] == (3, 3)


def test_every_kind_of_difference_in_a_vector_collection_is_named(twin, documents, apply, fill):
    fill(*range(1, 15))
    spoiler = Spoiler(twin, VECTOR)
    documents.posts.delete_many({"_id": {"$in": [1, 2]}})
    apply([change(1)])
    documents.posts.insert_one(post(20))
    documents.posts.replace_one({"_id": 3}, post(3, "another text"))
    spoiler.put(spoiler.chunk(4), point_id=str(uuid4()), entry="int:1")
    spoiler.delete(spoiler.head_id(5))
    spoiler.delete(str(spoiler.chunk(6).id))
    spoiler.set(spoiler.head_id(7), settled=False)
    spoiler.set(str(spoiler.chunk(8).id), recipe="forged")
    spoiler.set(str(spoiler.chunk(9).id), content="forged")
    chunk = spoiler.chunk(10)
    spoiler.put(chunk, vector=[-number for number in chunk.vector])
    spoiler.set(spoiler.head_id(12), source_hash="forged")
    spoiler.put(spoiler.chunk(13), point_id=str(uuid4()), entry="str:never there")
    documents.posts.replace_one({"_id": 14}, {"_id": 14, "platform": "p", "author_id": "a"})
    move_watermark(twin)
    assert look(twin, spoiler).differences == {
        Difference.ORPHAN: ["int:2"],
        Difference.MISSING: ["int:20", "int:5"],
        Difference.STALE: ["int:12", "int:3"],
        Difference.EDITED: ["int:9"],
        Difference.SURVIVING_TOMBSTONE: ["int:1"],
        Difference.HEADLESS: ["int:5", "str:never there"],
        Difference.INCOMPLETE: ["int:6", "int:7"],
        Difference.WRONG_RECIPE: ["int:8"],
        Difference.UNSOUND_VECTOR: ["int:10"],
        Difference.UNPROCESSABLE: ["int:14"],
    }


def test_altered_text_shows_in_a_cleaned_collection(twin, documents, apply, fill):
    fill(1, 2, 3)
    documents.posts.delete_one({"_id": 3})
    apply([change(3)])
    spoiler = Spoiler(twin, CLEANED)
    spoiler.set(spoiler.head_id(1), cleaned_content="forged")
    spoiler.set(spoiler.head_id(3), cleaned_content="what was erased")
    assert look(twin, spoiler).differences == {
        Difference.EDITED: ["int:1"],
        Difference.SURVIVING_TOMBSTONE: ["int:3"],
    }


def test_points_that_nobody_wrote_are_named_by_their_ids(twin, fill):
    fill(1, 2)
    spoiler = Spoiler(twin, VECTOR)
    nameless, impostor = str(uuid4()), str(uuid4())
    spoiler.put(spoiler.chunk(1), point_id=nameless, entry=None)
    spoiler.put(spoiler.chunk(1), point_id=impostor, head=True)
    spoiler.set(spoiler.head_id(2), entry="a list is no entry")
    report = look(twin, spoiler)
    assert report.differences[Difference.ORPHAN] == sorted(
        [f"point:{impostor}", f"point:{spoiler.head_id(2)}"]
    )
    assert f"point:{nameless}" in report.differences[Difference.HEADLESS]
    assert report.differences[Difference.MISSING] == ["int:2"]


@pytest.mark.parametrize("with_vectors", [True, False])
def test_vectors_are_read_only_when_asked_for(twin, fill, with_vectors):
    fill(1)
    spoiler = Spoiler(twin, VECTOR)
    spoiler.put(spoiler.chunk(1), vector=[1.0] + [0.0] * 31)
    report = audit(twin, spoiler.generation, with_vectors=with_vectors)
    assert report.count(Difference.UNSOUND_VECTOR) == int(with_vectors)


def test_refused_documents_are_shown_and_allowed(twin, documents, apply, fill):
    fill(1, 2)
    documents.posts.replace_one({"_id": 1}, {"_id": 1, "platform": "p", "author_id": "a", "content": {}})
    documents.posts.insert_one(post(3, "") | {"content": {"text": "😀"}})
    documents.posts.insert_one(post(1.5))
    apply([change(1), change(3)])
    spoiler = Spoiler(twin, VECTOR)
    report = look(twin, spoiler, pause=lambda _: pytest.fail("nothing is worth waiting for"))
    assert report.clean
    assert report.differing_entries() == []
    assert report.quarantined == 2
    assert report.heads == 2
    assert report.differences[Difference.UNPROCESSABLE][:2] == [
        "an _id of kind float is not supported; use ObjectId, UUID, int or str: 1.5",
        "int:1",
    ]
    assert report.source == 4


def test_a_write_under_way_does_not_alarm(twin, documents, apply, fill):
    documents.posts.insert_many([post(1), post(2)])
    apply([change(1), change(2)])
    move_watermark(twin, ahead_s=-1)
    documents.posts.insert_one(post(3))
    documents.posts.delete_one({"_id": 1})
    spoiler = Spoiler(twin, VECTOR)
    waits = []

    def let_the_stream_work(seconds: float) -> None:
        waits.append(seconds)
        apply([change(1), change(3)])
        move_watermark(twin)

    report = look(twin, spoiler, pause=let_the_stream_work)
    assert waits
    assert report.clean
    assert report.confirmed


def test_nothing_is_concluded_about_a_document_that_never_stands_still(twin, documents, fill, monkeypatch):
    fill(1, 2)
    spoiler = Spoiler(twin, VECTOR)
    edits = count()
    now = twin.source.now

    def now_and_edit() -> int:
        documents.posts.replace_one({"_id": 1}, post(1, f"edit {next(edits)}"))
        return now()

    documents.posts.replace_one({"_id": 1}, post(1, "first"))
    spoiler.set(spoiler.head_id(2), source_hash="forged")
    monkeypatch.setattr(twin.source, "now", now_and_edit)
    report = look(twin, spoiler)
    assert report.differences == {Difference.STALE: ["int:2"]}
    assert report.in_flight == 1


def test_without_a_watermark_differences_count_but_are_not_confirmed(twin, documents):
    documents.posts.insert_one(post(1))
    seconds = count(step=10)
    report = look(
        twin,
        Spoiler(twin, VECTOR),
        wait_s=30,
        clock=lambda: float(next(seconds)),
        pause=lambda _: None,
    )
    assert report.differences == {Difference.MISSING: ["int:1"]}
    assert not report.confirmed
    assert report.watermark_lag_s is None


@pytest.mark.parametrize(("moving_s", "is_waited_for"), [(0, False), (30, True)])
def test_a_stream_that_is_behind_is_waited_for_while_it_comes_nearer(
    twin, documents, apply, moving_s, is_waited_for
):
    documents.posts.insert_many([post(1), post(2)])
    apply([change(1)])
    move_watermark(twin, ahead_s=-1000)
    seconds, pauses = count(step=10), count(1)

    def let_the_stream_work(_: float) -> None:
        done = next(pauses)
        if done == 20:
            apply([change(2)])
        move_watermark(twin, ahead_s=done - 1000 if done < 20 else 600)

    report = look(
        twin,
        Spoiler(twin, VECTOR),
        wait_s=30,
        moving_s=moving_s,
        clock=lambda: float(next(seconds)),
        pause=let_the_stream_work,
    )
    assert report.confirmed is is_waited_for
    assert report.clean is is_waited_for


def test_a_stream_that_stands_still_is_not_waited_for_any_longer(twin, documents, apply):
    documents.posts.insert_many([post(1), post(2)])
    apply([change(1)])
    move_watermark(twin, ahead_s=-1000)
    seconds = count(step=10)
    report = look(
        twin,
        Spoiler(twin, VECTOR),
        wait_s=30,
        moving_s=30,
        clock=lambda: float(next(seconds)),
        pause=lambda _: None,
    )
    assert not report.confirmed
    assert report.differences == {Difference.MISSING: ["int:2"]}
    assert next(seconds) < 150


def test_other_data_types_do_not_interfere(twin, documents, fill):
    fill(1)
    documents.articles.insert_one({"_id": 1})
    assert look(twin, Spoiler(twin, VECTOR)).source == 1
    live = twin.live_generation(VECTOR, DataType.ARTICLES)
    assert audit(twin, live).count(Difference.UNPROCESSABLE) == 1


def test_what_was_edited_by_hand_is_named_though_every_hash_and_revision_is_right(twin, fill):
    fill(*range(1, 8))
    vector, cleaned = Spoiler(twin, VECTOR), Spoiler(twin, CLEANED)
    vector.set(str(vector.chunk(1).id), author_id="somebody else")
    vector.set(str(vector.chunk(2).id), start=1)
    vector.set(vector.head_id(3), content_hash="forged")
    cleaned.set(cleaned.head_id(4), platform="forged")
    cleaned.set(cleaned.head_id(5), cleaned_content="forged", content_hash=text_hash("forged"))
    assert look(twin, vector).differences == {Difference.EDITED: ["int:1", "int:2", "int:3"]}
    assert look(twin, cleaned).differences == {Difference.EDITED: ["int:4", "int:5"]}
    # What needs no text is seen without reading one.
    assert audit(twin, vector.generation).differences == {Difference.EDITED: ["int:1", "int:3"]}
    assert audit(twin, cleaned.generation).differences == {Difference.EDITED: ["int:4"]}


@pytest.mark.parametrize("snapshot", list(Snapshot))
def test_a_revision_that_no_clock_has_reached_is_an_edit(twin, documents, apply, fill, snapshot):
    fill(1, 2, 3)
    documents.posts.delete_one({"_id": 3})
    apply([change(3)])
    spoiler = Spoiler(twin, snapshot)
    for number in (1, 3):
        spoiler.set(spoiler.head_id(number), revision=1 << 52)
    assert audit(twin, spoiler.generation).differences == {Difference.EDITED: ["int:1", "int:3"]}


def test_chunks_whose_revision_was_taken_or_forged_are_found(twin, fill):
    fill(1, 2)
    spoiler = Spoiler(twin, VECTOR)
    without = str(spoiler.chunk(1).id)
    twin.store.client.delete_payload(spoiler.generation.collection, ["revision"], points=[without])
    spoiler.set(str(spoiler.chunk(2).id), revision=1)
    assert audit(twin, spoiler.generation).differences == {
        Difference.EDITED: ["int:1", "int:2"],
        Difference.HEADLESS: [f"point:{without}"],
    }


def test_a_head_that_nobody_can_read_is_missing_or_foreign(twin, documents, apply, fill):
    fill(1, 2)
    documents.posts.delete_one({"_id": 2})
    spoiler = Spoiler(twin, VECTOR)
    for number in (1, 2):
        spoiler.set(spoiler.head_id(number), chunk_count="many")
    assert audit(twin, spoiler.generation).differences == {
        Difference.MISSING: ["int:1"],
        Difference.HEADLESS: ["int:1", "int:2"],
        Difference.ORPHAN: [f"point:{spoiler.head_id(2)}"],
    }


def test_the_place_of_code_in_its_file_is_compared(twin, documents, apply):
    files = {"a.py": "x = 1\n" * 40, "b.md": "# B\n\ntext"}
    origin = {"name": "r", "link": "l", "owner_id": "o"}
    documents.repositories.insert_one({"_id": 1, **origin, "content": files})
    apply([Change(type=DataType.REPOSITORIES, entry="int:1", revision=1)])
    move_watermark(twin)
    live = twin.live_generation(VECTOR, DataType.REPOSITORIES)
    assert audit(twin, live, with_vectors=True).differences == {}
    chunk = next(found for found in twin.store.scroll(live.collection) if "start_line" in found.payload)
    twin.store.client.set_payload(live.collection, {"start_line": 99}, points=[chunk.id])
    assert audit(twin, live, with_vectors=True).differences == {Difference.EDITED: ["int:1"]}


def test_a_page_of_texts_is_bounded_by_their_length(twin, fill, monkeypatch):
    monkeypatch.setattr(version, "CHARACTERS_AT_ONCE", 600)
    fill(*range(1, 9))
    spoiler, find, held = Spoiler(twin, CLEANED), Inspection.find_heads, []

    def counted(self, keys, **options):
        held.append(len(keys))
        return find(self, keys, **options)

    monkeypatch.setattr(Inspection, "find_heads", counted)
    spoiler.set(spoiler.head_id(8), cleaned_content="forged")
    assert look(twin, spoiler).differences == {Difference.EDITED: ["int:8"]}
    assert held[:4] == [3, 3, 2, 1]
