"""Whatever is refused has one fate: a dead letter that says why, once; its neighbours go through."""

from __future__ import annotations

import pytest

from twin_assets.models.change import Change
from twin_assets.models.kinds import DataType, Snapshot
from twin_assets.operations.rebuild import rebuild
from twin_assets_tests.scenarios.chaos.poison import (
    GARBAGE,
    MAX_CHUNKS,
    POISONS,
    TEXT,
    good,
    letters,
    publish_bodies,
    unchanged_letters,
)
from twin_assets_tests.scenarios.chaos.verdict import live
from twin_assets_tests.scenarios.documents import post
from twin_assets_tests.source.builders import UNSUPPORTED_IDS

pytestmark = [pytest.mark.servers, pytest.mark.slow, pytest.mark.chaos]

POST = DataType.POSTS
PREFETCH = 4
MANY = 10 * PREFETCH


@pytest.fixture
def settings(settings):
    return settings.model_copy(update={"max_chunks": MAX_CHUNKS, "rabbitmq_prefetch": PREFETCH})


def test_whatever_a_document_is_refused_for_its_last_good_version_stays_and_one_letter_says_why(
    twin, documents, capturing, streaming, tally, chunk_texts, fussy_encoder
):
    for name, poison in POISONS.items():
        documents[poison.collection].insert_one(good(name, poison))
    documents.posts.insert_one(post("neighbour", "first"))
    with capturing(), streaming():
        tally.in_step()
        before = texts(chunk_texts)
        assert all(before.values())
        poison_all(documents)
        tally.fault(len(POISONS))
        documents.posts.replace_one({"_id": "neighbour"}, post("neighbour", "second"))
        tally.recover()
        assert chunk_texts(POST, "str:neighbour") == ["second"]
        assert_each_has_its_letter(twin)
        assert texts(chunk_texts) == before
        with unchanged_letters(twin):
            deliver_again(twin)
            for poison in POISONS.values():
                documents[poison.collection].update_many({}, {"$set": {"likes": 1}})
            tally.recover()
        documents.posts.update_one({"_id": "no author"}, {"$set": {"content": {"text": "another version"}}})
        tally.recover()
        assert [letter.entry for letter in letters(twin)[len(POISONS) :]] == ["str:no author"]
        tally.settle()


def test_messages_that_cannot_be_read_become_letters_with_their_bodies_and_hold_nobody_up(
    twin, documents, capturing, streaming, tally, chunk_texts
):
    with capturing(), streaming():
        tally.in_step()
        for queue in range(twin.settings.rabbitmq_queues):
            publish_bodies(twin, list(GARBAGE.values()), queue)
        tally.fault(twin.settings.rabbitmq_queues * len(GARBAGE))
        documents.posts.insert_many([post(number, f"neighbour {number}") for number in range(8)])
        tally.settle()
        assert chunk_texts(POST, "int:7") == ["neighbour 7"]
    found = letters(twin)
    assert sorted(letter.body for letter in found) == sorted(
        body for body in GARBAGE.values() for _ in range(twin.settings.rabbitmq_queues)
    )
    assert {letter.stage for letter in found} == {"reading"}
    assert all(letter.reason and "\n" not in letter.reason for letter in found)


def test_ids_that_have_no_entry_become_letters_and_their_neighbours_go_through(
    twin, documents, capturing, streaming, tally
):
    documents.posts.insert_one(post(1, "first"))
    with capturing(), streaming():
        tally.in_step()
        odd = [post(found, "unreachable") for found in UNSUPPORTED_IDS]
        documents.posts.insert_many([*odd[:3], post(2, "second"), *odd[3:]])
        tally.fault(len(odd))
        tally.recover()
        assert {(letter.stage, letter.type, letter.entry) for letter in letters(twin)} == {
            ("capturing", POST, None)
        }
        assert len(letters(twin)) == len(odd)
        documents.posts.delete_many({"_id": {"$in": UNSUPPORTED_IDS}})
        tally.settle()


@pytest.mark.nightly
def test_more_poison_than_the_prefetch_window_holds_nobody_up_and_fails_no_rebuild(
    twin, documents, capturing, streaming, tally, chunk_texts
):
    with capturing(), streaming():
        tally.in_step()
        bad = [{"_id": number, "platform": "p", "content": {"text": TEXT}} for number in range(MANY)]
        documents.posts.insert_many([*bad, *[post(1000 + number, "behind it") for number in range(8)]])
        tally.fault(MANY)
        tally.recover()
        assert all(chunk_texts(POST, f"int:{1000 + number}") == ["behind it"] for number in range(8))
        assert len(letters(twin)) == MANY
        with unchanged_letters(twin):
            for snapshot in Snapshot:
                report = rebuild(twin, snapshot, POST)
                assert report.quarantined == MANY
                assert live(twin, snapshot, POST).collection == report.generation.collection
                assert twin.collections.aliases()[report.generation.alias] == report.generation.collection
            tally.recover()
        tally.settle()


def poison_all(documents) -> None:
    for name, poison in POISONS.items():
        documents[poison.collection].replace_one({"_id": name}, poison.fields)


def texts(chunk_texts) -> dict[str, list[str]]:
    return {name: chunk_texts(DataType(found.collection), f"str:{name}") for name, found in POISONS.items()}


def deliver_again(twin) -> None:
    """Deliver the present version of each poisoned document twice more."""
    changes = [
        Change(type=DataType(poison.collection), entry=f"str:{name}", revision=1)
        for name, poison in POISONS.items()
    ]
    twin.publisher.publish(changes)
    twin.publisher.publish(changes)


def assert_each_has_its_letter(twin) -> None:
    found = letters(twin)
    assert sorted(letter.entry for letter in found) == sorted(f"str:{name}" for name in POISONS)
    for letter in found:
        poison = POISONS[letter.entry.removeprefix("str:")]
        assert (letter.stage, letter.type) == (poison.stage, DataType(poison.collection)), letter
        assert poison.reason in letter.reason, letter
        assert letter.revision > 0
        assert letter.traceback
        assert TEXT not in letter.model_dump_json()
