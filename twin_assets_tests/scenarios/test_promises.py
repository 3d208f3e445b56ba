"""The promises to users, each on real servers: MongoDB to Qdrant through capture, queues and stream."""

from __future__ import annotations

import threading

import pytest

from twin_assets.broker.consumer import ChangeConsumer
from twin_assets.models.change import Change
from twin_assets.models.kinds import DataType
from twin_assets.operations.processors import Processors
from twin_assets.operations.twin import Twin
from twin_assets_tests.scenarios.assertions import assert_clean
from twin_assets_tests.scenarios.documents import article, post, repository, words
from twin_assets_tests.waiting import wait_until

pytestmark = pytest.mark.servers

POST = DataType.POSTS


def test_all_three_types_arrive_and_updates_shorten_and_deletes_remove(
    twin, documents, capturing, streaming, in_step, chunk_texts
):
    documents.posts.insert_one(post(1, words(60)))
    documents.articles.insert_one(article("slug", words(30)))
    documents.repositories.insert_one(repository(2, {"src/a.b.py": "def f():\n    return 1\n"}))
    with capturing(), streaming():
        in_step()
        assert " ".join(chunk_texts(POST, "int:1")) == words(60)
        assert_clean(twin)
        documents.posts.replace_one({"_id": 1}, post(1, "short now"))
        documents.articles.delete_one({"_id": "slug"})
        in_step()
        assert chunk_texts(POST, "int:1") == ["short now"]
        assert chunk_texts(DataType.ARTICLES, "str:slug") == []
        assert_clean(twin)


def test_unchanged_text_is_not_embedded_again(
    twin, documents, capturing, streaming, in_step, chunk_texts, monkeypatch
):
    embedded: list[str] = []
    original = Processors.embed

    def counting(self, recipe, chunks):
        embedded.extend(chunk.content for chunk in chunks)
        return original(self, recipe, chunks)

    monkeypatch.setattr(Processors, "embed", counting)
    documents.posts.insert_one(post(1, words(60)))
    with capturing(), streaming():
        in_step()
        before = len(embedded)
        documents.posts.update_one({"_id": 1}, {"$set": {"likes": 3}})
        in_step()
        assert embedded[before:] == []
        documents.posts.replace_one({"_id": 1}, post(1, words(60) + " and one sentence more at the very end"))
        in_step()
        new = embedded[before:]
        assert len(new) < before
        assert any("more" in text for text in new)


def test_a_reader_never_sees_a_shrinking_document_without_chunks(
    twin, documents, capturing, streaming, in_step, chunk_texts
):
    documents.posts.insert_one(post(1, words(90)))
    with capturing(), streaming():
        in_step()
        seen: list[int] = []
        done = threading.Event()

        def poll() -> None:
            while not done.is_set():
                seen.append(len(chunk_texts(POST, "int:1")))

        reader = threading.Thread(target=poll)
        reader.start()
        try:
            for length in (20, 90, 3, 60):
                documents.posts.replace_one({"_id": 1}, post(1, words(length, prefix=f"v{length}x")))
                in_step()
        finally:
            done.set()
            reader.join(30)
    assert len(seen) > 20
    assert min(seen) > 0


def test_a_crash_in_mid_batch_is_made_good_by_redelivery(
    twin, documents, capturing, streaming, in_step, chunk_texts, monkeypatch
):
    documents.posts.insert_many([post(number, words(40, prefix=f"d{number}x")) for number in range(6)])
    original = Processors.embed
    calls = {"left": 1}

    def failing(self, recipe, chunks):
        calls["left"] -= 1
        if calls["left"] < 0:
            raise RuntimeError("the machine is on fire")
        return original(self, recipe, chunks)

    with capturing():
        monkeypatch.setattr(Processors, "embed", failing)
        crashed = streaming()
        with pytest.raises(RuntimeError, match="on fire"), crashed:
            wait_until(lambda: calls["left"] < 0, what="the crash", limit_s=120)
        monkeypatch.setattr(Processors, "embed", original)
        with streaming():
            in_step()
            assert_clean(twin)
            assert " ".join(chunk_texts(POST, "int:5")) == words(40, prefix="d5x")
    assert twin.dead_letters.count() == 0


def test_changes_delivered_twice_late_and_out_of_order_change_nothing(
    twin, documents, capturing, streaming, in_step, chunk_texts
):
    documents.posts.insert_one(post(1, words(30)))
    with capturing(), streaming():
        in_step()
        early = Change(type=POST, entry="int:1", revision=1)
        documents.posts.replace_one({"_id": 1}, post(1, "newest"))
        twin.publisher.publish([early, early])
        in_step()
        twin.publisher.publish([early])
        in_step()
        assert chunk_texts(POST, "int:1") == ["newest"]
        assert_clean(twin)


def test_poison_goes_to_the_dead_letters_and_its_neighbours_go_on(
    twin, documents, capturing, streaming, in_step, chunk_texts
):
    documents.posts.insert_one(post(1, "the last good version"))
    with capturing(), streaming():
        in_step()
        documents.posts.replace_one({"_id": 1}, {"_id": 1, "platform": "p", "content": {"text": "SECRET"}})
        documents.posts.insert_many([post(2, "a good neighbour"), post(3.5, "no such key")])
        in_step()
        assert chunk_texts(POST, "int:2") == ["a good neighbour"]
        assert chunk_texts(POST, "int:1") == ["the last good version"]
        letters = [stored.letter for stored in twin.dead_letters.peek()]
        by_stage = {letter.stage: letter for letter in letters}
        assert by_stage["validating"].entry == "int:1"
        assert "author_id" in by_stage["validating"].reason
        assert "SECRET" not in str(letters)
        assert len(letters) == 2
        documents.posts.replace_one({"_id": 1}, post(1, "good again"))
        in_step()
        assert chunk_texts(POST, "int:1") == ["good again"]


def test_capture_goes_on_where_it_stopped(twin, documents, capturing, streaming, in_step, chunk_texts):
    documents.posts.insert_one(post(1, "before"))
    with streaming():
        with capturing():
            in_step()
        documents.posts.replace_one({"_id": 1}, post(1, "changed while capture was away"))
        documents.posts.insert_one(post(2, "born meanwhile"))
        with capturing():
            in_step()
        assert chunk_texts(POST, "int:1") == ["changed while capture was away"]
        assert chunk_texts(POST, "int:2") == ["born meanwhile"]
        assert_clean(twin)


def test_no_text_is_left_after_a_delete(twin, documents, capturing, streaming, in_step):
    secret = "confidential"
    documents.posts.insert_one(post(1, f"{secret} {words(40)}"))
    with capturing():
        with streaming():
            in_step()
        documents.posts.replace_one({"_id": 1}, post(1, f"{secret} {words(50)}"))
        documents.posts.delete_one({"_id": 1})
        queued = waiting_bodies(twin)
        assert b"int:1" in queued, "the changes wait in a queue while nobody streams"
        assert secret.encode() not in queued
        with streaming():
            in_step()
    for name in twin.collections.names():
        assert secret not in str([record.payload for record in twin.store.scroll(name)])
    assert secret not in str(twin.dead_letters.peek())
    records = twin.source.client[twin.settings.meta_database]
    for name in records.list_collection_names():
        assert secret not in str(records[name].find().to_list())


def waiting_bodies(twin: Twin) -> bytes:
    """Return what waits in all change queues, byte for byte, once there is some; it stays there."""
    settings = twin.settings
    queues = range(settings.rabbitmq_queues)
    url = settings.require_url("rabbitmq_url")
    found: list[bytes] = []

    def look() -> bool:
        found.extend(each.body for queue in queues for each in consumer.poll(queue, 100))
        return any(b"int:1" in body for body in found)

    with ChangeConsumer(url, queues=settings.rabbitmq_queues, indexes=queues, prefetch=100) as consumer:
        wait_until(look, what="a change waits in a queue")
    return b"".join(found)
