"""What DocumentDB does otherwise, on a stand-in that refuses what its documentation says it refuses."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

import pymongo.errors
import pytest
from bson import MinKey, encode
from bson.raw_bson import RawBSONDocument
from pymongo.database import Database

from twin_assets.errors import ClusterTimeWentBack, ConfigurationError, PositionLost, SourceUnavailable
from twin_assets.models.change import revision_of
from twin_assets.models.kinds import DataType
from twin_assets.source.changes import ChangeStream, Position
from twin_assets.source.client import Client, Document, connect, dated_session
from twin_assets.source.documentdb import await_moment, whole_second
from twin_assets.source.documents import DocumentSource
from twin_assets.source.ids import read_id_pages
from twin_assets.source.preparation import enable_changes
from twin_assets.source.watch import watch
from twin_assets_tests.documentdb.stand_in import LikeDocumentDb
from twin_assets_tests.source.builders import IDS_AND_ENTRIES, UNSUPPORTED_IDS, post

pytestmark = pytest.mark.servers

POST = {DataType.POSTS: ["int:1"]}
SECOND = revision_of(1, 0)
Opener = Callable[..., ChangeStream]


@pytest.fixture(scope="module")
def client(documentdb: LikeDocumentDb) -> Iterator[Client]:
    with connect(documentdb.url, dialect="documentdb") as opened:
        yield opened


@pytest.fixture
def opened(client: Client, database: Database[Document]) -> Opener:
    return lambda position: watch(client, database.name, position)


def test_without_the_dialect_it_is_refused_in_one_line_that_names_it(documentdb: LikeDocumentDb) -> None:
    with connect(documentdb.url) as client, pytest.raises(ConfigurationError) as raised:
        DocumentSource(client, "twin").read(POST)
    assert "TWIN_MONGODB_DIALECT=documentdb" in str(raised.value)
    assert "\n" not in str(raised.value)


def test_nothing_that_documentdb_refuses_is_asked(
    documentdb: LikeDocumentDb, opened: Opener, source: DocumentSource, database: Database[Document]
) -> None:
    asked = len(documentdb.refused)
    database.posts.insert_one(post(1))
    with opened(Position(None, source.now())) as stream:
        stream.next_batch(0.1)
    source.read(POST, at_least=source.now())
    assert list(source.entries(DataType.POSTS, batch_size=1)) == [["int:1"]]
    assert documentdb.refused[asked:] == []


@pytest.mark.parametrize("size", [1, 2, 3, 100])
def test_pages_are_those_of_mongodb_from_every_place_on(
    client: Client, mongodb_url: str, database: Database[Document], size: int
) -> None:
    odd = [*UNSUPPORTED_IDS, None, 7.0, float("nan"), MinKey()]
    for document_id in [*(found for found, _ in IDS_AND_ENTRIES), *odd]:
        database.posts.insert_one(post(document_id))
    with connect(mongodb_url) as other:
        for after in [None, *(entry for _, entry in IDS_AND_ENTRIES)]:
            entries, unsupported = pages_of(client, database.name, size, after)
            of_mongodb = pages_of(other, database.name, size, after)
            assert entries == of_mongodb[0]
            if after is None:
                assert sorted(unsupported) == sorted(of_mongodb[1])


def pages_of(client: Client, database: str, size: int, after: str | None) -> tuple[list[str], list[str]]:
    pages = list(read_id_pages(client, database, "posts", page_size=size, after=after))
    assert all(len(page.entries) + len(page.unsupported) <= size for page in pages)
    return (
        [entry for page in pages for entry in page.entries],
        [described for page in pages for described in page.unsupported],
    )


def test_ids_that_are_not_valid_text_are_passed_and_not_met_again(
    client: Client, database: Database[Document]
) -> None:
    for text in (b"aa", b"\xff\xfe", b"zz"):
        broken = encode({"_id": "??"}).replace(b"??", text)
        database.posts.insert_one(RawBSONDocument(broken))
    entries, unsupported = pages_of(client, database.name, 1, None)
    assert entries == ["str:aa", "str:zz"]
    assert len(unsupported) == 1


def test_a_read_behind_a_change_is_later_than_every_read_before_it(source: DocumentSource) -> None:
    for _ in range(20):
        before = source.read(POST).revision
        change = source.now()
        assert source.read(POST, at_least=change).revision > max(before, change)


def test_a_change_that_another_clock_stamped_is_waited_for_and_one_of_the_future_refused(
    source: DocumentSource,
) -> None:
    soon = source.now() + SECOND
    assert source.read(POST, at_least=soon).revision >= whole_second(soon)
    with pytest.raises(ClusterTimeWentBack):
        source.read(POST, at_least=source.now() + 100 * SECOND)


def test_an_instance_that_is_no_primary_is_an_outage(mongodb_url: str, database: Database[Document]) -> None:
    with (
        LikeDocumentDb(mongodb_url) as stand_in,
        connect(stand_in.url, dialect="documentdb") as client,
    ):
        source = DocumentSource(client, database.name)
        source.now()
        stand_in.is_reader = True
        with pytest.raises(SourceUnavailable, match="not its primary"):
            source.read(POST)


def test_a_clock_that_stands_still_is_an_outage(client: Client) -> None:
    times = iter(range(0, 1000, 6))
    with dated_session(client) as (session, now), pytest.raises(SourceUnavailable, match="stands still"):
        await_moment(
            client,
            session,
            behind=now + 1000 * SECOND,
            at_least=0,
            clock=lambda: float(next(times)),
            pause=lambda _: None,
        )


def test_changes_that_are_not_recorded_are_one_line_that_says_how_to_have_them(
    documentdb: LikeDocumentDb, client: Client
) -> None:
    with (
        pytest.raises(ConfigurationError, match="twin prepare-source"),
        watch(client, "unprepared", Position(None, DocumentSource(client, "unprepared").now())),
    ):
        pass


def test_a_silent_stream_moves_on_and_is_resumed_by_its_token(
    opened: Opener, source: DocumentSource, database: Database[Document]
) -> None:
    began = source.now()
    position = moved_on(opened, Position(None, began))
    assert position.token is not None
    assert began < position.revision < source.now()
    database.posts.insert_one(post(1))
    with opened(position) as stream:
        assert entries_of(stream) == ["int:1"]


def test_without_tokens_of_silence_a_stream_begins_where_it_once_began(
    mongodb_url: str, database: Database[Document]
) -> None:
    with (
        LikeDocumentDb(mongodb_url, has_post_batch_tokens=False) as stand_in,
        connect(stand_in.url, dialect="documentdb") as client,
    ):
        enable_changes(client, database.name)
        start = Position(None, DocumentSource(client, database.name).now())
        position = moved_on(lambda position: watch(client, database.name, position), start)
        assert (position.token, position.start_after) == (None, False)
        assert position.starts_at is not None
        assert position.starts_at < start.revision
        # It came late, and its time is before what silence vouched for.
        database.posts.insert_one(post(1))
        later = replace(position, revision=position.revision + 5 * SECOND)
        with watch(client, database.name, later) as stream:
            assert entries_of(stream) == ["int:1"]


def moved_on(opened: Opener, start: Position) -> Position:
    """Return where a silent stream stands once it has moved on."""
    with opened(start) as stream:
        position = stream.next_batch(0.01).position
        while position.revision <= start.revision:
            position = stream.next_batch(0.2).position
    return position


def test_a_position_is_never_ahead_of_the_clock_that_is_asked(
    mongodb_url: str, database: Database[Document]
) -> None:
    with LikeDocumentDb(mongodb_url) as stand_in, connect(stand_in.url, dialect="documentdb") as client:
        stand_in.ahead_s = 30
        enable_changes(client, database.name)
        source = DocumentSource(client, database.name)
        database.posts.insert_one(post(1))
        with watch(client, database.name, Position(None, source.now())) as stream:
            assert entries_of(stream) == ["int:1"]
            assert stream.position.revision <= source.now()


def test_a_stream_goes_on_behind_the_last_event_it_gave(
    opened: Opener, source: DocumentSource, database: Database[Document]
) -> None:
    database.posts.insert_many([post(number) for number in range(5)])
    position, seen = Position(None, source.now()), []
    for _ in range(5):
        with opened(position) as stream:
            stream._limit = 1
            batch = stream.next_batch(1)
        seen += [change.entry for change in batch.changes]
        position = batch.position
    assert seen == [f"int:{number}" for number in range(5)]


def test_a_dropped_database_loses_all_types_and_the_stream_begins_anew(
    opened: Opener, source: DocumentSource, client: Client, database: Database[Document]
) -> None:
    start = Position(None, source.now())
    database.posts.insert_one(post(1))
    client.drop_database(database.name)
    with opened(start) as stream:
        batch = stream.next_batch(1)
        while not batch.lost:
            batch = stream.next_batch(1)
        assert batch.lost == set(DataType)
        database.posts.insert_one(post(2))
        # Within that second it meets the end of the database again, and says so: all is published anew.
        news = [stream.next_batch(1)]
        while not news[-1].drained:
            news.append(stream.next_batch(0.1))
    assert any(each.lost or "int:2" in [change.entry for change in each.changes] for each in news)


@pytest.mark.parametrize("token", [{"_data": "zz"}, {"_data": "82FF"}, {"other": 1}])
def test_a_token_that_it_does_not_know_is_a_lost_position(
    opened: Opener, source: DocumentSource, token: Document
) -> None:
    with (
        pytest.raises(PositionLost, match="change_stream_log_retention_duration"),
        opened(Position(token, source.now())) as stream,
    ):
        stream.next_batch(0.01)


def test_a_time_that_the_log_may_not_reach_back_to_is_a_lost_position(
    opened: Opener, source: DocumentSource
) -> None:
    hour = 3600 * SECOND
    with opened(Position(None, source.now() - hour)) as stream:
        stream.next_batch(0.01)
    forgotten = Position(None, source.now() - 3 * hour)
    with pytest.raises(PositionLost, match="TWIN_MONGODB_LOG_HOURS"), opened(forgotten):
        pass


def test_how_far_the_log_reaches_back_is_a_setting(
    documentdb: LikeDocumentDb, source: DocumentSource, database: Database[Document]
) -> None:
    six_days_ago = Position(None, source.now() - 6 * 24 * 3600 * SECOND)
    with (
        connect(documentdb.url, dialect="documentdb", log_hours=168) as client,
        watch(client, database.name, six_days_ago) as stream,
    ):
        stream.next_batch(0.01)


def test_other_errors_of_its_pass(client: Client, database: Database[Document]) -> None:
    database.posts.insert_one(post(1))
    with pytest.raises(pymongo.errors.DuplicateKeyError):
        database.posts.insert_one(post(1))


def entries_of(stream: ChangeStream) -> list[str]:
    """Return what comes until there is no more, each document once."""
    found: dict[str, None] = {}
    while True:
        batch = stream.next_batch(0.05)
        found |= dict.fromkeys(change.entry for change in batch.changes)
        if batch.drained and found:
            return list(found)
