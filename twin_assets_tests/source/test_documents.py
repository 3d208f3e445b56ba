"""Reads are as new as the revision that comes with them; scans cross every kind of `_id`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from bson import Timestamp, encode
from bson.raw_bson import RawBSONDocument
from pymongo import MongoClient
from pymongo.database import Database
from pymongo.monitoring import CommandFailedEvent, CommandListener, CommandStartedEvent, CommandSucceededEvent

from twin_assets.errors import ClusterTimeWentBack, SourceUnavailable
from twin_assets.models.change import revision_of
from twin_assets.models.kinds import DataType
from twin_assets.source.client import Client, Document, timestamp_revision
from twin_assets.source.documents import DocumentSource
from twin_assets_tests.source.builders import IDS_AND_ENTRIES, MONGODB_ONLY, UNSUPPORTED_IDS, post

pytestmark = pytest.mark.servers


class SentCommands(CommandListener):
    def __init__(self) -> None:
        self.sent: list[tuple[str, dict[str, Any]]] = []

    def started(self, event: CommandStartedEvent) -> None:
        self.sent.append((event.command_name, dict(event.command)))

    def succeeded(self, event: CommandSucceededEvent) -> None:
        pass

    def failed(self, event: CommandFailedEvent) -> None:
        pass


@pytest.fixture
def listened(mongodb_url: str) -> Iterator[tuple[Client, SentCommands]]:
    sent = SentCommands()
    with MongoClient(mongodb_url, event_listeners=[sent]) as client:
        yield client, sent


def test_a_read_asks_for_majority_after_its_own_revision(
    listened: tuple[Client, SentCommands], database: Database[Document]
) -> None:
    client, sent = listened
    source = DocumentSource(client, database.name)
    read = source.read({DataType.POSTS: ["int:1"], DataType.ARTICLES: ["int:2"]})
    assert [name for name, _ in sent.sent] == ["ping", "find", "find"]
    concerns = [command["readConcern"] for name, command in sent.sent if name == "find"]
    assert [concern["level"] for concern in concerns] == ["majority", "majority"]
    after = [timestamp_revision(concern["afterClusterTime"]) for concern in concerns]
    assert after[0] == read.revision
    assert after[1] >= read.revision


@MONGODB_ONLY
def test_a_read_is_at_least_as_new_as_every_write_before_it(
    client: Client, database: Database[Document], source: DocumentSource
) -> None:
    for number in range(20):
        with client.start_session() as session:
            database.posts.replace_one({"_id": 1}, post(1, str(number)), upsert=True, session=session)
            written = session.operation_time
        assert isinstance(written, Timestamp)
        read = source.read({DataType.POSTS: ["int:1"]})
        assert read.revision >= revision_of(written.time, written.inc)
        document = read.documents[DataType.POSTS, "int:1"]
        assert document is not None
        assert document["content"]["text"] == str(number)


def test_a_missing_document_is_none_and_a_present_one_plain(
    database: Database[Document], source: DocumentSource
) -> None:
    database.posts.insert_one(post("a") | {"unknown": {"x": 1}})
    read = source.read({DataType.POSTS: ["str:a", "str:b"], DataType.ARTICLES: ["str:a"]})
    assert read.documents == {
        (DataType.POSTS, "str:a"): {"platform": "web", "author_id": "a1", "content": {"text": "hello"}},
        (DataType.POSTS, "str:b"): None,
        (DataType.ARTICLES, "str:a"): None,
    }


def test_an_entry_that_no_document_can_have_is_missing_and_stops_no_other(
    database: Database[Document], source: DocumentSource
) -> None:
    database.posts.insert_one(post(1))
    found = source.read({DataType.POSTS: ["int:1", "int:x", "oid:malformed"]}).documents
    assert [key for (_, key), document in found.items() if document is None] == ["int:x", "oid:malformed"]


def test_an_equal_id_of_another_kind_is_another_document(
    database: Database[Document], source: DocumentSource
) -> None:
    database.posts.insert_many([post(1.0), post("1")])
    read = source.read({DataType.POSTS: ["int:1"]})
    assert read.documents == {(DataType.POSTS, "int:1"): None}


def test_broken_utf8_in_a_document_is_replaced(database: Database[Document], source: DocumentSource) -> None:
    body = encode(post("a", "broken XX here")).replace(b"XX", b"\xff\xfe")
    database.posts.insert_one(RawBSONDocument(body))
    document = source.read({DataType.POSTS: ["str:a"]}).documents[DataType.POSTS, "str:a"]
    assert document is not None
    assert document["content"]["text"] == "broken \ufffd\ufffd here"


def test_large_documents_of_one_read_come_over_several_batches(
    database: Database[Document], source: DocumentSource
) -> None:
    database.posts.insert_many([post(number, "x" * 6_000_000) for number in range(4)])
    read = source.read({DataType.POSTS: [f"int:{number}" for number in range(4)]})
    assert all(document is not None for document in read.documents.values())


def test_a_read_below_the_asked_revision_is_refused(source: DocumentSource) -> None:
    ahead = source.now() + revision_of(100, 0)
    with pytest.raises(ClusterTimeWentBack):
        source.read({}, at_least=ahead)


@pytest.mark.parametrize("batch_size", [1, 3, 1000])
def test_a_scan_meets_every_document_once_across_kinds_of_ids(
    database: Database[Document], source: DocumentSource, batch_size: int
) -> None:
    database.posts.insert_many([post(document_id) for document_id, _ in IDS_AND_ENTRIES])
    database.posts.insert_many([post(document_id) for document_id in UNSUPPORTED_IDS])
    reads = list(source.scan(DataType.POSTS, batch_size=batch_size))
    entries = [entry for read in reads for _, entry in read.documents]
    assert sorted(entries) == sorted(entry for _, entry in IDS_AND_ENTRIES)
    assert len(source.unsupported_ids(DataType.POSTS)) == len(UNSUPPORTED_IDS)
    assert [read.revision for read in reads] == sorted(read.revision for read in reads)


def test_ids_of_broken_utf8_do_not_stop_a_scan(database: Database[Document], source: DocumentSource) -> None:
    for broken in (b"\xf8\xf8", b"\xf9\xf9"):
        database.posts.insert_one(RawBSONDocument(encode({"_id": "XX"}).replace(b"XX", broken)))
    database.posts.insert_one(post("a"))
    assert list(source.entries(DataType.POSTS, batch_size=1)) == [["str:a"]]
    assert len(source.unsupported_ids(DataType.POSTS)) == 2


def test_pages_have_the_asked_size_also_where_the_last_document_went_away(
    database: Database[Document], source: DocumentSource
) -> None:
    database.posts.insert_many([post(number) for number in range(6)])
    pages = source.entries(DataType.POSTS, batch_size=2)
    assert next(pages) == ["int:0", "int:1"]
    database.posts.delete_one({"_id": 1})
    assert list(pages) == [["int:2", "int:3"], ["int:4", "int:5"]]


def test_a_scan_goes_on_behind_an_entry(database: Database[Document], source: DocumentSource) -> None:
    database.posts.insert_many([post(number) for number in range(5)])
    rest = [entry for page in source.entries(DataType.POSTS, after="int:2") for entry in page]
    assert rest == ["int:3", "int:4"]
    gone = [entry for page in source.entries(DataType.POSTS, after="str:none") for entry in page]
    assert gone == []


def test_a_document_deleted_while_scanning_is_left_out(
    database: Database[Document], source: DocumentSource
) -> None:
    database.posts.insert_many([post(number) for number in range(4)])
    scan = source.scan(DataType.POSTS, batch_size=2)
    next(scan)
    database.posts.delete_one({"_id": 2})
    assert list(next(scan).documents) == [(DataType.POSTS, "int:3")]


def test_absent_documents_are_told_from_present_ones(
    database: Database[Document], source: DocumentSource
) -> None:
    database.posts.insert_many([post(1), post(2.0), post("1")])
    entries = ["int:1", "int:2", "str:1", "str:2", "oid:malformed"]
    assert source.absent(DataType.POSTS, entries) == ["int:2", "str:2"]


def test_a_collection_that_is_not_there_is_empty(source: DocumentSource) -> None:
    assert source.count(DataType.REPOSITORIES) == 0
    assert list(source.scan(DataType.REPOSITORIES)) == []


def test_count_is_exact(database: Database[Document], source: DocumentSource) -> None:
    database.posts.insert_many([post(number) for number in range(7)])
    assert source.count(DataType.POSTS) == 7


def test_a_server_that_is_gone_is_an_outage() -> None:
    with MongoClient("mongodb://127.0.0.1:1", serverSelectionTimeoutMS=20) as client:
        gone = DocumentSource(client, "nowhere")
        for ask in (gone.now, lambda: gone.count(DataType.POSTS), lambda: list(gone.scan(DataType.POSTS))):
            with pytest.raises(SourceUnavailable):
                ask()
