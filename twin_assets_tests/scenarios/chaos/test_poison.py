"""Whatever is refused has one fate: a dead letter that says why, once; its neighbours go through."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Sequence

import numpy as np
import pytest

from twin_assets.models.base import DataType, Snapshot
from twin_assets.models.change import Change
from twin_assets.operations.rebuild import rebuild
from twin_assets.processing.hash_encoder import HashEncoder
from twin_assets_tests.scenarios.chaos.poison import (
    GARBAGE,
    MAX_CHUNKS,
    POISONS,
    TEXT,
    UNENCODABLE,
    UNSOUND,
    good,
    letters,
    publish_bodies,
    unchanged_letters,
)
from twin_assets_tests.scenarios.chaos.verdict import live
from twin_assets_tests.scenarios.documents import post
from twin_assets_tests.scenarios.processes import environment_of
from twin_assets_tests.source.builders import UNSUPPORTED_IDS

pytestmark = [pytest.mark.servers, pytest.mark.slow, pytest.mark.chaos]

POST = DataType.POSTS
PREFETCH = 4
MANY = 10 * PREFETCH
READINGS = 50
COMMAND_S = 120


@pytest.fixture
def settings(settings):
    return settings.model_copy(update={"max_chunks": MAX_CHUNKS, "rabbitmq_prefetch": PREFETCH})


@pytest.fixture
def fussy_encoder(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """An encoder that refuses some texts; returns what mends it."""
    original = HashEncoder.encode

    def encode(self: HashEncoder, texts: Sequence[str]) -> np.ndarray:
        if any(UNENCODABLE in text for text in texts):
            raise ValueError(f"cannot encode {TEXT}")
        rows = original(self, texts)
        for row, text in zip(rows, texts, strict=True):
            if UNSOUND in text:
                row[:] = np.nan
        return rows

    monkeypatch.setattr(HashEncoder, "encode", encode)
    return lambda: monkeypatch.setattr(HashEncoder, "encode", original)


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
                assert live(twin, snapshot, POST) == twin.live_generation(snapshot, POST)
                assert twin.collections.aliases()[report.generation.alias] == report.generation.collection
            tally.recover()
        tally.settle()


def test_reading_the_letters_any_number_of_times_loses_none_and_keeps_their_order(
    twin, settings, documents, capturing, streaming, tally
):
    with capturing(), streaming():
        documents.posts.insert_many([{"_id": number, "content": {"text": TEXT}} for number in range(MANY)])
        tally.fault(MANY)
        tally.recover()
        before = peek(twin)
        assert [found.number for found in before] == list(range(1, MANY + 1))
        for _ in range(READINGS):
            assert peek(twin) == before
        assert peek(twin, limit=5) == before[:5]
        listed = json.loads(command(settings, "list", "--limit", "1000", "--json"))
        assert [(row["number"], row["id"]) for row in listed] == [(one.number, one.id) for one in before]
        assert TEXT not in json.dumps(listed)
        assert twin.dead_letters.count() == MANY
        tally.settle()
    assert peek(twin) == before


def test_letters_are_replayed_with_success_once_the_cause_is_mended(
    twin, settings, documents, capturing, streaming, tally, chunk_texts, fussy_encoder
):
    documents.posts.insert_many([post(number, f"{UNENCODABLE} {number}") for number in range(6)])
    documents.posts.insert_one({"_id": "stays", "content": {"text": TEXT}})
    with capturing(), streaming():
        tally.fault(7)
        tally.recover()
        assert len(letters(twin)) == 7
        command(settings, "replay", "--all")
        tally.recover()
        assert len(letters(twin)) == 7, "whoever is refused again has a letter again, and no second one"
        fussy_encoder()
        command(settings, "replay", "--all")
        tally.recover()
        assert [letter.entry for letter in letters(twin)] == ["str:stays"]
        assert chunk_texts(POST, "int:5") == [f"{UNENCODABLE} 5"]
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


def peek(twin, *, limit: int = 1000) -> list:
    return twin.dead_letters.peek(limit)


def command(settings, *arguments: str) -> str:
    """Run `twin dead-letters …` as an operator does."""
    ended = subprocess.run(
        [sys.executable, "-m", "twin_assets", "dead-letters", *arguments],
        env=environment_of(settings),
        capture_output=True,
        text=True,
        timeout=COMMAND_S,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    return ended.stdout
