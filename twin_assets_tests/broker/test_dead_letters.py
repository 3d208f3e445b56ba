from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from twin_assets.broker import letter_reader
from twin_assets.broker.consumer import ChangeConsumer
from twin_assets.broker.dead_letters import DeadLetters, StoredLetter, change_of
from twin_assets.broker.publisher import ChangePublisher
from twin_assets.broker.topology import DEAD_QUEUE
from twin_assets.errors import BrokerStalled, BrokerUnavailable
from twin_assets.models.change import Change, DeadLetter
from twin_assets_tests.broker.builders import letter, put_raw, receive

pytestmark = pytest.mark.servers


@pytest.fixture
def publisher(rabbitmq_url: str) -> Iterator[ChangePublisher]:
    with ChangePublisher(rabbitmq_url, queues=1) as opened:
        yield opened


@pytest.fixture
def letters(rabbitmq_url: str, publisher: ChangePublisher) -> Iterator[DeadLetters]:
    publisher.publish_dead([letter(number) for number in range(5)])
    with DeadLetters(rabbitmq_url) as opened:
        yield opened


def reasons(stored: list[StoredLetter]) -> list[int]:
    return [int(each.letter.reason.removeprefix("reason ")) for each in stored]


def everything(_: StoredLetter) -> bool:
    return True


def test_a_queue_that_does_not_exist_holds_nothing(rabbitmq_url: str) -> None:
    with DeadLetters(rabbitmq_url) as letters:
        assert letters.count() == 0
        assert letters.peek() == []
        assert letters.purge("posts/int:1") == 0


def test_looking_thirty_times_keeps_all_letters_in_order(letters: DeadLetters) -> None:
    first = letters.peek()
    assert reasons(first) == [0, 1, 2, 3, 4]
    assert [each.number for each in first] == [1, 2, 3, 4, 5]
    assert len({each.id for each in first}) == 5
    for limit in range(30):
        assert letters.peek(limit % 6) == first[: limit % 6]
    assert letters.peek() == first
    assert letters.count() == 5


def test_what_is_taken_was_handled_and_the_others_keep_their_place(letters: DeadLetters) -> None:
    handled: list[DeadLetter] = []
    before = letters.peek()
    taken = letters.take(lambda stored: stored.number in {2, 4}, handled.append)
    assert [each.revision for each in taken] == [1, 3]
    assert handled == taken
    after = letters.peek()
    assert reasons(after) == [0, 2, 4]
    assert [each.number for each in after] == [1, 2, 3]
    assert [each.id for each in after] == [before[0].id, before[2].id, before[4].id]


def test_a_letter_stays_where_its_handler_fails(letters: DeadLetters) -> None:
    def refuse_the_third(each: DeadLetter) -> None:
        if each.revision == 2:
            raise KeyError("no")

    with pytest.raises(KeyError):
        letters.take(everything, refuse_the_third)
    assert reasons(letters.peek()) == [2, 3, 4]


def test_replay_publishes_forced_changes_and_then_removes(
    letters: DeadLetters, publisher: ChangePublisher, rabbitmq_url: str
) -> None:
    put_raw(rabbitmq_url, DEAD_QUEUE, b"junk")
    replayed = letters.replay(lambda stored: stored.number != 1, publisher.publish)
    assert [each.revision for each in replayed] == [1, 2, 3, 4]
    assert [stored.letter.key for stored in letters.peek()] == ["posts/int:0", "?/?"]
    with ChangeConsumer(rabbitmq_url, queues=1, indexes=[0], prefetch=9) as consumer:
        messages = [each.message for each in receive(consumer, 0, 4)]
    assert messages == [change_of(each) for each in replayed]
    assert all(isinstance(each, Change) and each.force for each in messages)


def test_a_replay_that_cannot_publish_keeps_the_letter(
    letters: DeadLetters, publisher: ChangePublisher
) -> None:
    publisher.close()
    with pytest.raises(BrokerUnavailable):
        letters.replay(everything, publisher.publish)
    assert letters.count() == 5


def test_a_letter_that_comes_back_while_it_is_handled_is_no_endless_loop(
    letters: DeadLetters, publisher: ChangePublisher
) -> None:
    taken = letters.take(everything, lambda each: publisher.publish_dead([each]))
    assert len(taken) == 5
    assert reasons(letters.peek()) == [0, 1, 2, 3, 4]


def test_erasing_a_document_removes_its_letters_alone(
    letters: DeadLetters, publisher: ChangePublisher
) -> None:
    publisher.publish_dead([letter(2, reason="reason 9")])
    assert letters.purge("posts/int:2") == 2
    assert reasons(letters.peek()) == [0, 1, 3, 4]


def test_a_foreign_message_is_shown_as_what_it_is(letters: DeadLetters, rabbitmq_url: str) -> None:
    put_raw(rabbitmq_url, DEAD_QUEUE, b"\xff")
    stored = letters.peek()[-1]
    assert stored.letter.body == b"\xff"
    assert "UTF-8" in stored.letter.reason
    assert change_of(stored.letter) is None


def test_a_letter_of_an_impossible_entry_cannot_be_replayed() -> None:
    assert change_of(letter(1, entry="no kind")) is None
    assert change_of(letter(1, entry=None)) is None


def test_only_one_reader_at_a_time(
    letters: DeadLetters, rabbitmq_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def look_from_elsewhere(_: DeadLetter) -> None:
        # Whatever is being asked when the time is up.
        for number in range(40):
            monkeypatch.setattr(letter_reader, "TURN_TIMEOUT_S", number / 4000)
            with DeadLetters(rabbitmq_url) as others, pytest.raises(BrokerStalled, match="another process"):
                others.peek()

    assert len(letters.take(lambda stored: stored.number == 1, look_from_elsewhere)) == 1
    assert reasons(letters.peek()) == [1, 2, 3, 4]


def test_a_reader_waits_for_its_turn(letters: DeadLetters, rabbitmq_url: str) -> None:
    seen: list[list[int]] = []

    def look() -> None:
        with DeadLetters(rabbitmq_url) as others:
            seen.append(reasons(others.peek()))

    waiting = threading.Thread(target=look)
    letters.take(lambda stored: stored.number == 1, lambda _: waiting.start())
    waiting.join(20)
    assert seen == [[1, 2, 3, 4]]


def test_closed_letters_say_so(rabbitmq_url: str) -> None:
    letters = DeadLetters(rabbitmq_url)
    letters.close()
    with pytest.raises(BrokerUnavailable, match="not open"):
        letters.count()
