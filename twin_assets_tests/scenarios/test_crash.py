"""Runs that are killed at work: the next one finishes what was in hand, or sets aside what kills it."""

from __future__ import annotations

import pytest

from twin_assets.broker.depth import queue_depths
from twin_assets.faults import FaultPoint
from twin_assets.models.base import document_key
from twin_assets.models.chunk import head_point_id
from twin_assets.models.generation import GenerationStatus
from twin_assets.models.kinds import DataType, Snapshot
from twin_assets.operations.processors import Processors
from twin_assets.operations.rebuild import rebuild
from twin_assets.operations.scan import SCAN_BATCH
from twin_assets.processing.encoder import SLICE
from twin_assets.stream.intake import SUSPECT_ATTEMPTS
from twin_assets.stream.steps import CRASH_LIMIT
from twin_assets_tests.scenarios.assertions import assert_clean
from twin_assets_tests.scenarios.chaos.faulty import faulty_run
from twin_assets_tests.scenarios.documents import post, words
from twin_assets_tests.scenarios.processes import long_run
from twin_assets_tests.waiting import wait_until

pytestmark = [pytest.mark.servers, pytest.mark.slow]

POST = DataType.POSTS
LONG_WORDS = 16_000
FEW_SLICES = 10
CROWD = 2_500
NEIGHBOURS = 12
EMBEDDED = r"chunks_embedded=(\d+)"


def stored_chunks(twin) -> int:
    live = twin.live_generation(Snapshot.VECTOR, POST)
    exists = live is not None and live.alias in twin.collections.aliases()
    return twin.store.count_chunks(live.collection) if exists else 0


def heads_of(twin, entry: str) -> dict:
    live = twin.live_generation(Snapshot.VECTOR, POST)
    return twin.store.heads(live.collection, [head_point_id(document_key(POST, entry))])


def documents_in_building(twin) -> int:
    building = [
        found.collection
        for found in twin.meta.generations(POST)
        if found.status is GenerationStatus.BUILDING and found.collection in twin.collections.names()
    ]
    return sum(twin.store.count_documents(collection) for collection in building)


def test_a_stream_that_is_killed_while_it_embeds_is_taken_over_where_it_stopped(
    twin, settings, documents, capturing, in_step, chunk_texts
):
    text = words(LONG_WORDS)
    documents.posts.insert_one(post(1, text))
    with capturing():
        with faulty_run(settings, "stream", at=FaultPoint.STAGED, turn=FEW_SLICES) as first:
            first.await_death()
        stored = stored_chunks(twin)
        assert heads_of(twin, "int:1") == {}
        documents.posts.insert_one(post(2, "a neighbour, born while nobody streamed"))
        with long_run(settings, "stream") as second:
            in_step()
            assert " ".join(chunk_texts(POST, "int:1")) == text
            assert chunk_texts(POST, "int:2") == ["a neighbour, born while nobody streamed"]
            second.end()
        assert_clean(twin)
    all_chunks = stored_chunks(twin)
    assert stored < all_chunks / 2
    # Qdrant may still have applied the slice that was under way while we counted.
    assert all_chunks - stored - SLICE <= second.last_number(EMBEDDED) <= all_chunks - stored
    assert twin.dead_letters.count() == 0


def test_a_document_that_ends_the_stream_every_time_is_set_aside_and_its_neighbours_go_on(
    twin, documents, capturing, streaming, in_step, chunk_texts, monkeypatch
):
    original, crashes = Processors.embed, []

    def deadly(self, recipe, chunks):
        if any("deadly" in chunk.content for chunk in chunks):
            crashes.append(len(chunks))
            raise RuntimeError("the process ends here")
        return original(self, recipe, chunks)

    def runs_on() -> bool:
        """Run a stream until it crashes, or until something was set aside."""
        before = len(crashes)
        try:
            with streaming():
                wait_until(
                    lambda: len(crashes) > before or twin.dead_letters.count(), what="a fate", limit_s=120
                )
        except RuntimeError:
            return False
        return True

    monkeypatch.setattr(Processors, "embed", deadly)
    documents.posts.insert_one(post(0, "a deadly text"))
    documents.posts.insert_many([post(number, f"neighbour {number}") for number in range(1, NEIGHBOURS)])
    with capturing():
        wait_until(runs_on, what="the document is set aside", limit_s=240)
        with streaming():
            in_step()
            for number in range(1, NEIGHBOURS):
                assert chunk_texts(POST, f"int:{number}") == [f"neighbour {number}"]
            assert chunk_texts(POST, "int:0") == []
            (stored,) = twin.dead_letters.peek()
            assert (stored.letter.entry, stored.letter.stage) == ("int:0", "processing")
            assert "the stream ended each time" in stored.letter.reason
            assert SUSPECT_ATTEMPTS <= len(crashes) <= SUSPECT_ATTEMPTS + CRASH_LIMIT
            monkeypatch.setattr(Processors, "embed", original)
            documents.posts.replace_one({"_id": 0}, post(0, "harmless now"))
            in_step()
            assert chunk_texts(POST, "int:0") == ["harmless now"]
        assert_clean(twin)


def test_a_capture_that_is_killed_in_its_first_snapshot_leaves_nothing_out(
    twin, settings, documents, streaming, in_step
):
    documents.posts.insert_many([post(number, f"post {number}") for number in range(CROWD)])
    with faulty_run(settings, "capture", at=FaultPoint.PAGE_PUBLISHED) as first:
        first.await_death()
    assert twin.meta.load_position() is None
    assert 0 < queue_depths(settings.require_url("rabbitmq_url"), settings.rabbitmq_queues).total < CROWD
    documents.posts.delete_one({"_id": 0})
    documents.posts.replace_one({"_id": 1}, post(1, "edited between the two"))
    with long_run(settings, "capture") as second, streaming():
        in_step()
        second.end()
    live = twin.live_generation(Snapshot.VECTOR, POST)
    assert twin.store.count_documents(live.collection) == CROWD - 1
    assert twin.store.chunk_texts(live.collection, "int:1") == ["edited between the two"]
    assert_clean(twin)
    assert twin.dead_letters.count() == 0


def test_a_rebuild_that_is_killed_changes_nothing_for_readers_and_is_taken_up_again(
    twin, settings, documents, capturing, streaming, in_step
):
    documents.posts.insert_many(
        [post(number, words(20, prefix=f"p{number}x")) for number in range(3 * SCAN_BATCH)]
    )
    with capturing(), streaming():
        in_step()
        live = twin.live_generation(Snapshot.VECTOR, POST)
        rebuilding = (settings, "rebuild", "posts", "--snapshot", "vector")
        with faulty_run(*rebuilding, at=FaultPoint.BATCH_SCANNED) as first:
            first.await_death()
        assert documents_in_building(twin) > 0
        assert twin.live_generation(Snapshot.VECTOR, POST) == live
        assert twin.collections.aliases()[live.alias] == live.collection
        documents.posts.delete_one({"_id": 0})
        documents.posts.replace_one({"_id": 1}, post(1, "edited between the two"))
        report = rebuild(twin, Snapshot.VECTOR, POST)
        assert report.is_resumed
        assert twin.collections.aliases()[live.alias] == report.generation.collection != live.collection
        in_step()
        assert twin.store.count_documents(live.alias) == 3 * SCAN_BATCH - 1
        assert_clean(twin)
