"""Messages out of order, repeated and days late, several changes at one time: only the present counts."""

from __future__ import annotations

import random

import pytest

from twin_assets.broker.consumer import ChangeConsumer
from twin_assets.broker.depth import queue_depths
from twin_assets.models.change import Change, Hint, revision_of
from twin_assets.models.kinds import DataType
from twin_assets_tests.scenarios.chaos.pauses import watch_encoder
from twin_assets_tests.scenarios.documents import article, post, repository, words
from twin_assets_tests.waiting import wait_until

pytestmark = [pytest.mark.servers, pytest.mark.slow, pytest.mark.chaos]

POST = DataType.POSTS
SEED = 20_240
DOCUMENTS = 12
LIVE_WRITES = 30
YEARS_AGO = revision_of(1_600_000_000, 0)


def test_changes_are_delivered_in_any_order_more_than_once_and_days_late(
    twin, settings, documents, capturing, streaming, tally, monkeypatch
):
    embedded, chance = watch_encoder(monkeypatch), random.Random(SEED)
    with capturing():
        with streaming():
            write_histories(documents, chance)
            tally.in_step()
        write_histories(documents, chance)
        await_captured(twin)
    changes = take_all(settings)
    with streaming():
        publish(twin, disordered(changes, chance), tally)
        with capturing():
            tally.recover()
            before = len(embedded)
            publish(twin, disordered(changes, chance), tally)
            tally.recover()
            assert embedded[before:] == []
            for message in disordered(changes, chance)[:LIVE_WRITES]:
                write_once(documents, chance)
                publish(twin, [message], tally)
            tally.settle()
    assert twin.dead_letters.count() == 0


def test_changes_of_one_document_in_one_transaction_come_out_as_the_last(
    twin, documents, capturing, streaming, tally, chunk_texts, monkeypatch
):
    embedded = watch_encoder(monkeypatch)
    posts, client = documents.posts, twin.source.client
    posts.insert_many([post(number, words(20, prefix=f"p{number}x")) for number in range(1, 5)])

    def together(session) -> None:
        posts.replace_one({"_id": 1}, post(1, "a passing thought"), session=session)
        posts.replace_one({"_id": 1}, post(1, words(25, prefix="last")), session=session)
        posts.delete_one({"_id": 2}, session=session)
        posts.insert_one(post(2, "born again"), session=session)
        posts.insert_one(post(9, "a passing thought"), session=session)
        posts.delete_one({"_id": 9}, session=session)
        posts.replace_one({"_id": 3}, post(3, "a passing thought"), session=session)
        posts.delete_one({"_id": 3}, session=session)
        documents.articles.insert_one(article(1, words(20)), session=session)
        documents.repositories.insert_one(repository(1, {"a.py": "x = 1\n"}), session=session)

    documents.create_collection("articles")
    documents.create_collection("repositories")
    with capturing(), streaming():
        tally.in_step()
        with client.start_session() as session:
            session.with_transaction(together)
        tally.fault()
        tally.settle()
        assert chunk_texts(POST, "int:2") == ["born again"]
        assert chunk_texts(POST, "int:3") == chunk_texts(POST, "int:9") == []
    assert "a passing thought" not in embedded


def publish(twin, messages: list[Change], tally) -> None:
    twin.publisher.publish(messages)
    tally.fault(len(messages))


def write_histories(documents, chance: random.Random) -> None:
    """Give every post some versions, the last of which may be none."""
    for _ in range(3 * DOCUMENTS):
        write_once(documents, chance)


def write_once(documents, chance: random.Random) -> None:
    number = chance.randrange(DOCUMENTS)
    if chance.random() < 0.3:
        documents.posts.delete_one({"_id": number})
        return
    text = words(10) + " " + words(chance.randrange(40), prefix=f"v{chance.randrange(3)}x")
    documents.posts.replace_one({"_id": number}, post(number, text), upsert=True)


def disordered(changes: list[Change], chance: random.Random) -> list[Change]:
    """Each change twice as it was and once days late with a wrong hint, in any order."""
    late = [
        change.model_copy(update={"revision": YEARS_AGO, "hint": chance.choice([*Hint])})
        for change in changes
    ]
    found = [*changes, *changes, *late]
    chance.shuffle(found)
    return found


def await_captured(twin) -> None:
    """Wait until every change so far is in the queues."""
    target = twin.source.now()

    def is_captured() -> bool:
        position = twin.meta.load_position()
        return position is not None and position.revision >= target

    wait_until(is_captured, what="the capture's position passes", limit_s=60)


def take_all(settings) -> list[Change]:
    """Take every message out of the queues while nobody publishes; returns the changes."""
    url, queues = settings.require_url("rabbitmq_url"), range(settings.rabbitmq_queues)
    expected = queue_depths(url, len(queues)).total
    found = []

    def is_empty() -> bool:
        for queue in queues:
            taken = consumer.poll(queue, 1000)
            consumer.acknowledge(taken)
            found.extend(taken)
        return len(found) >= expected

    with ChangeConsumer(url, queues=len(queues), indexes=queues, prefetch=1000) as consumer:
        wait_until(is_empty, what="the queues are empty", limit_s=60)
    changes = [each.message for each in found if isinstance(each.message, Change)]
    assert len({change.key for change in changes}) > 1
    return changes
