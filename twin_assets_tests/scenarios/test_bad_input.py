"""Bad input has a clear fate, processed or a dead letter with its reason, and its neighbours go through."""

from __future__ import annotations

import asyncio
import json
import threading
import uuid
from datetime import UTC, datetime

import aio_pika
import pytest
from bson import Binary, Int64, ObjectId

from twin_assets.broker.topology import queue_name
from twin_assets.errors import ConfigurationError
from twin_assets.models.kinds import DataType
from twin_assets.operations.bootstrap import recipe_warnings
from twin_assets.operations.twin import open_twin
from twin_assets.stream.replica import run_stream
from twin_assets_tests.scenarios.documents import post
from twin_assets_tests.waiting import wait_until

pytestmark = pytest.mark.servers

POST = DataType.POSTS
MEGABYTE = 1024 * 1024

PROCESSED = {
    "ObjectId": (ObjectId("65f000000000000000000001"), "oid:65f000000000000000000001"),
    "UUID": (Binary.from_uuid(uuid.UUID(int=7)), f"uuid:{uuid.UUID(int=7)}"),
    "int": (Int64(2**60), f"int:{2**60}"),
    "str": ("1", "str:1"),
}
REFUSED = {
    "no author": ({"platform": "p", "content": {"text": "x"}}, "validating", "author_id"),
    "content is a list": ({"platform": "p", "author_id": "a", "content": ["x"]}, "validating", "content"),
    "no content": ({"platform": "p", "author_id": "a", "content": {}}, "validating", "content"),
    "only emoji": ({"platform": "p", "author_id": "a", "content": {"t": "🎉🎉"}}, "cleaning", "no text"),
    "bytes": ({"platform": "p", "author_id": "a", "content": {"t": b"\x00"}}, "validating", "t"),
}


def test_every_kind_of_id_is_its_own_document(twin, documents, capturing, streaming, in_step, chunk_texts):
    documents.posts.insert_many([post(value, f"text of {name}") for name, (value, _) in PROCESSED.items()])
    documents.posts.insert_one(post(1, "text of one"))
    with capturing(), streaming():
        in_step()
        for name, (_, entry) in PROCESSED.items():
            assert chunk_texts(POST, entry) == [f"text of {name}"]
        assert chunk_texts(POST, "int:1") == ["text of one"]
        documents.posts.delete_one({"_id": PROCESSED["ObjectId"][0]})
        in_step()
        assert chunk_texts(POST, PROCESSED["ObjectId"][1]) == []
    assert twin.dead_letters.count() == 0


def test_odd_but_sound_documents_are_processed(twin, documents, capturing, streaming, in_step, chunk_texts):
    odd = post("odd", "x") | {"unknown": {"deep": [1, 2]}}
    odd["content"] = {"none": None, "nul": "be\x00fore", "at": datetime(2026, 1, 2, tzinfo=UTC), "n": 5}
    documents.posts.insert_one(odd)
    with capturing(), streaming():
        in_step()
    text = " ".join(chunk_texts(POST, "str:odd"))
    assert "before" in text
    assert "\x00" not in text
    assert "None" not in text
    assert twin.dead_letters.count() == 0


def test_refused_documents_become_dead_letters_that_say_why_without_their_text(
    twin, documents, capturing, streaming, in_step, chunk_texts
):
    documents.posts.insert_many([{"_id": name, **document} for name, (document, *_) in REFUSED.items()])
    documents.posts.insert_one(post("good", "a good neighbour"))
    with capturing(), streaming():
        in_step()
        assert chunk_texts(POST, "str:good") == ["a good neighbour"]
        letters = {stored.letter.entry: stored.letter for stored in twin.dead_letters.peek()}
    assert set(letters) == {f"str:{name}" for name in REFUSED}
    for name, (_, stage, reason) in REFUSED.items():
        letter = letters[f"str:{name}"]
        assert (letter.stage, reason in letter.reason.lower()) == (stage, True), letter.reason
        assert letter.revision > 0
        assert "Error" in letter.traceback or "Rejected" in letter.traceback


@pytest.mark.slow
def test_a_document_of_15_mb_goes_through_or_says_that_it_is_too_long(
    twin, documents, capturing, streaming, in_step, chunk_texts
):
    documents.posts.insert_one(post("huge", "word " * (15 * MEGABYTE // 5)))
    documents.posts.insert_one(post("good", "a good neighbour"))
    with capturing(), streaming():
        in_step()
        assert chunk_texts(POST, "str:good") == ["a good neighbour"]
        (stored,) = twin.dead_letters.peek()
    assert stored.letter.entry == "str:huge"
    assert stored.letter.stage == "chunking"
    assert "TWIN_MAX_CHUNKS" in stored.letter.reason


def test_messages_that_nobody_can_read_become_dead_letters_with_their_body(
    twin, documents, capturing, streaming, in_step, chunk_texts, settings
):
    bodies = [b"not json", b'{"v":99}', json.dumps({"v": 1, "kind": "change", "type": "songs"}).encode()]
    with capturing(), streaming():
        in_step()
        _publish(settings.rabbitmq_url.get_secret_value(), bodies)
        documents.posts.insert_one(post(1, "a good neighbour"))
        in_step()
        wait_until(lambda: twin.dead_letters.count() == len(bodies), what="the letters arrive")
        letters = [stored.letter for stored in twin.dead_letters.peek()]
        assert chunk_texts(POST, "int:1") == ["a good neighbour"]
    assert sorted(letter.body for letter in letters) == sorted(bodies)
    assert all(letter.stage == "reading" and letter.reason for letter in letters)


def test_another_number_of_queues_is_one_line_that_says_what_to_do(
    twin, capturing, streaming, in_step, settings
):
    with capturing(), streaming():
        in_step()
    changed = settings.model_copy(update={"rabbitmq_queues": 5})
    with open_twin(changed) as other, pytest.raises(ConfigurationError, match="TWIN_RABBITMQ_QUEUES"):
        run_stream(other, stop=threading.Event())


def test_another_recipe_is_one_line_that_says_what_to_do(twin, capturing, streaming, in_step, settings):
    with capturing(), streaming():
        in_step()
    changed = settings.model_copy(update={"text_chunk_size": 70})
    with open_twin(changed) as other:
        warnings = recipe_warnings(other)
    assert len(warnings) == 2
    assert all("twin rebuild" in line and "\n" not in line for line in warnings)


def _publish(url: str, bodies: list[bytes]) -> None:
    async def send() -> None:
        async with await aio_pika.connect(url) as connection:
            channel = await connection.channel()
            for body in bodies:
                message = aio_pika.Message(body, delivery_mode=aio_pika.DeliveryMode.PERSISTENT)
                await channel.default_exchange.publish(message, queue_name(0))

    asyncio.run(send())
