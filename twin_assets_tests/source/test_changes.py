"""The stream on a real server: every change, in order, resumable, and never a document's content."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from bson import Timestamp
from pymongo.database import Database

from twin_assets.errors import PositionLost, SourceUnavailable
from twin_assets.models.change import Hint, revision_of
from twin_assets.models.kinds import DataType
from twin_assets.source.changes import ChangeBatch, ChangeStream, Position, token_revision
from twin_assets.source.client import Client, Document
from twin_assets.source.clock import ServerClock
from twin_assets.source.documents import DocumentSource
from twin_assets.source.watch import watch
from twin_assets_tests.source.builders import IDS_AND_ENTRIES, MONGODB_ONLY, UNSUPPORTED_IDS, post

pytestmark = pytest.mark.servers

# MongoDB tells milliseconds, and the way to it and back takes some.
CLOCK_ERROR = timedelta(milliseconds=50)
Opener = Callable[[Position | None], ChangeStream]


@pytest.fixture
def opened(client: Client, database: Database[Document], source: DocumentSource) -> Opener:
    start = Position(None, source.now())
    return lambda position: watch(client, database.name, position or start)


def drain(stream: ChangeStream) -> list[ChangeBatch]:
    batches = []
    while True:
        batches.append(stream.next_batch(0.05))
        if batches[-1].drained:
            return batches


def at(batch: ChangeBatch) -> datetime:
    assert batch.position.as_of is not None
    return batch.position.as_of


def entries_of(batches: list[ChangeBatch]) -> list[str]:
    return [change.entry for batch in batches for change in batch.changes]


def test_each_kind_of_change_is_seen_in_order(opened: Opener, database: Database[Document]) -> None:
    database.posts.insert_one(post(1))
    database.articles.insert_one({"_id": "a"})
    database.posts.update_one({"_id": 1}, {"$set": {"platform": "other"}})
    database.posts.replace_one({"_id": 1}, post(1, "new"))
    database.posts.delete_one({"_id": 1})
    database.unrelated.insert_one({"_id": 2})
    with opened(None) as stream:
        changes = [change for batch in drain(stream) for change in batch.changes]
    assert [change.key for change in changes] == ["posts/int:1", "articles/str:a"] + ["posts/int:1"] * 3
    assert [change.hint for change in changes] == [Hint.UPSERT] * 4 + [Hint.DELETE]
    assert [change.revision for change in changes] == sorted(change.revision for change in changes)


def test_ids_of_every_kind_come_through_and_others_are_letters(
    opened: Opener, database: Database[Document]
) -> None:
    database.posts.insert_many([post(document_id) for document_id, _ in IDS_AND_ENTRIES])
    database.posts.insert_many([post(document_id) for document_id in UNSUPPORTED_IDS])
    with opened(None) as stream:
        batches = drain(stream)
    assert entries_of(batches) == [entry for _, entry in IDS_AND_ENTRIES]
    letters = [letter for batch in batches for letter in batch.unsupported]
    assert len(letters) == len(UNSUPPORTED_IDS)
    assert {(letter.stage, letter.type) for letter in letters} == {("capturing", DataType.POSTS)}


@MONGODB_ONLY
def test_changes_are_as_of_their_own_commit_and_silence_is_as_of_now(
    opened: Opener, client: Client, database: Database[Document]
) -> None:
    clock, asked_s = ServerClock(client), time.monotonic()
    before = clock.now()
    error = max(CLOCK_ERROR, timedelta(seconds=time.monotonic() - asked_s) / 2)
    database.posts.insert_one(post(1))
    after = clock.now()
    with opened(None) as stream:
        stream._server_clock = clock  # two clocks would be wrong by different times
        found = stream.next_batch(1)
        assert entries_of([found]) == ["int:1"]
        assert before - error <= at(found) <= after + error
        asked = clock.now()
        silent = stream.next_batch(0.3)
        assert silent.drained
        # As of the end of the wait, not of its beginning.
        assert at(silent) - asked > timedelta(seconds=0.2)
        assert at(silent) <= clock.now()


def test_a_second_stream_goes_on_exactly_where_the_first_stood(
    opened: Opener, client: Client, database: Database[Document]
) -> None:
    database.posts.insert_many([post(number) for number in range(25)])
    position, seen = Position(None, 0), []
    start: Position | None = None
    for _ in range(5):
        with opened(start) as stream:
            stream._limit = 5
            batch = stream.next_batch(1)
        seen.extend(entries_of([batch]))
        start = position = batch.position
    assert seen == [f"int:{number}" for number in range(25)]
    with opened(position) as stream:
        assert entries_of(drain(stream)) == []


def test_no_gap_between_snapshot_and_watch_under_a_concurrent_writer(
    opened: Opener, client: Client, database: Database[Document], source: DocumentSource
) -> None:
    stop = threading.Event()
    written: list[int] = []

    def write() -> None:
        while not stop.is_set():
            database.posts.insert_one(post(len(written)))
            written.append(len(written))

    writer = threading.Thread(target=write)
    writer.start()
    while len(written) < 50:
        stop.wait(0.001)
    start = Position(None, source.now())
    snapshot = {entry for page in source.entries(DataType.POSTS, batch_size=20) for entry in page}
    count = len(written)
    while len(written) < count + 50:
        stop.wait(0.001)
    stop.set()
    writer.join()
    with opened(start) as stream:
        watched = set(entries_of(drain(stream)))
    assert snapshot | watched == {f"int:{number}" for number in written}
    assert len(snapshot) < len(written)


def test_two_changes_of_one_document_in_a_transaction_share_a_revision_in_their_order(
    opened: Opener, client: Client, database: Database[Document]
) -> None:
    database.create_collection("posts")
    with client.start_session() as session, session.start_transaction():
        database.posts.insert_one(post(1), session=session)
        database.posts.insert_one(post(2), session=session)
        database.posts.delete_one({"_id": 1}, session=session)
    with opened(None) as stream:
        changes = [change for batch in drain(stream) for change in batch.changes]
    assert [(change.entry, change.hint) for change in changes] == [
        ("int:1", Hint.UPSERT),
        ("int:2", Hint.UPSERT),
        ("int:1", Hint.DELETE),
    ]
    assert len({change.revision for change in changes}) == 1


@MONGODB_ONLY
def test_inside_a_transaction_the_position_stays_below_its_time(
    opened: Opener, client: Client, database: Database[Document]
) -> None:
    database.create_collection("posts")
    with client.start_session() as session, session.start_transaction():
        database.posts.insert_many([post(number) for number in range(10)], session=session)
    with opened(None) as stream:
        stream._limit = 4
        first = stream.next_batch(1)
        assert len(first.changes) == 4
        assert not first.drained
        assert first.position.revision < first.changes[0].revision
        rest = drain(stream)
    assert entries_of(rest) == [f"int:{number}" for number in range(4, 10)]
    assert rest[-1].position.revision >= first.changes[0].revision


def test_a_killed_stream_goes_on_inside_a_transaction(
    opened: Opener, client: Client, database: Database[Document]
) -> None:
    database.create_collection("posts")
    with client.start_session() as session, session.start_transaction():
        database.posts.insert_many([post(number) for number in range(10)], session=session)
    with opened(None) as stream:
        stream._limit = 4
        position = stream.next_batch(1).position
    with opened(position) as stream:
        assert entries_of(drain(stream)) == [f"int:{number}" for number in range(4, 10)]


def test_a_dropped_collection_is_reported_and_the_stream_goes_on(
    opened: Opener, database: Database[Document]
) -> None:
    database.posts.insert_one(post(1))
    database.unrelated.insert_one({"_id": 1})
    database.unrelated.drop()
    database.posts.drop()
    database.posts.insert_one(post(2))
    with opened(None) as stream:
        batches = drain(stream)
    assert entries_of(batches) == ["int:1", "int:2"]
    assert frozenset().union(*(batch.lost for batch in batches)) == {DataType.POSTS}


def test_renames_away_and_onto_a_type_are_reported(opened: Opener, database: Database[Document]) -> None:
    database.posts.insert_one(post(1))
    database.staging.insert_one(post(2))
    database.posts.rename("old_posts")
    database.staging.rename("articles")
    with opened(None) as stream:
        batches = drain(stream)
    assert frozenset().union(*(batch.lost for batch in batches)) == {DataType.POSTS, DataType.ARTICLES}


@MONGODB_ONLY
def test_a_dropped_database_is_reported_and_the_stream_starts_after_it(
    opened: Opener, client: Client, database: Database[Document]
) -> None:
    database.posts.insert_one(post(1))
    client.drop_database(database.name)
    with opened(None) as stream:
        batch = stream.next_batch(1)
        while not batch.position.start_after:
            batch = stream.next_batch(1)
        assert batch.lost == set(DataType)
        assert not batch.drained
        database.posts.insert_one(post(2))
        assert entries_of(drain(stream)) == ["int:2"]
    with opened(batch.position) as stream:
        assert entries_of(drain(stream)) == ["int:2"]


@MONGODB_ONLY
def test_an_idle_position_advances(opened: Opener, client: Client, database: Database[Document]) -> None:
    with opened(None) as stream:
        first = stream.next_batch(0.01).position
        database.unrelated.insert_many([{"_id": number} for number in range(10)])
        with client.start_session() as session:
            database.unrelated.insert_one({"_id": 99}, session=session)
            written = session.operation_time
        assert isinstance(written, Timestamp)
        later = drain(stream)[-1].position
    assert later.revision >= revision_of(written.time, written.inc) > first.revision
    assert token_revision(later.token) == later.revision


def test_an_update_of_sixteen_megabytes_does_not_break_the_stream(
    opened: Opener, database: Database[Document]
) -> None:
    size = 16 * 1024 * 1024 - 200
    database.posts.insert_one(post(1, "x" * size))
    database.posts.replace_one({"_id": 1}, post(1, "y" * size))
    database.posts.update_one({"_id": 1}, {"$set": {"content.text": "z" * size}})
    with opened(None) as stream:
        assert entries_of(drain(stream)) == ["int:1"] * 3


def test_a_batch_is_returned_without_waiting_for_more(opened: Opener, database: Database[Document]) -> None:
    with opened(None) as stream:
        drain(stream)
        waiting = threading.Timer(0.05, database.posts.insert_one, [post(1)])
        waiting.start()
        batch = stream.next_batch(30)
        waiting.join()
    assert entries_of([batch]) == ["int:1"]


@MONGODB_ONLY
def test_an_event_that_the_oplog_does_not_hold_is_a_lost_position(
    opened: Opener, database: Database[Document]
) -> None:
    database.posts.insert_one(post("seen"))
    with opened(None) as stream:
        position = stream.next_batch(1).position
    assert position.token is not None
    data = position.token["_data"]
    forged = data.replace(b"seen".hex().upper(), b"lost".hex().upper())
    assert forged != data
    with pytest.raises(PositionLost, match="oplog"), opened(Position({"_data": forged}, 7 << 20)) as stream:
        drain(stream)


@pytest.mark.parametrize("token", [{"_data": "zz"}, {"_data": "82FF"}, {"other": 1}])
def test_a_token_that_is_none_is_a_lost_position(opened: Opener, token: dict[str, Any]) -> None:
    with pytest.raises(PositionLost), opened(Position(token, 0)) as stream:
        drain(stream)


def test_a_cursor_that_the_server_dropped_is_an_outage_and_the_position_still_holds(
    opened: Opener, database: Database[Document]
) -> None:
    with opened(None) as stream:
        drain(stream)
        database.command({"killCursors": "$cmd.aggregate", "cursors": [stream._cursor_id]})
        database.posts.insert_one(post(1))
        with pytest.raises(SourceUnavailable):
            stream.next_batch(0.05)
        position = stream.position
    with opened(position) as stream:
        assert entries_of(drain(stream)) == ["int:1"]


def test_a_token_of_an_unknown_form_has_no_revision() -> None:
    assert token_revision(None) is None
    assert token_revision({"_data": "8265F0"}) is None
    assert token_revision({"_data": "83" + "0" * 16}) is None
    assert token_revision({"_data": "82" + "0000000A" + "00000003"}) == revision_of(10, 3)
    assert token_revision({"_data": "82" + "0000000A" + "FFFFFFFF"}) is None
