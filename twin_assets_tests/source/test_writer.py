from __future__ import annotations

from typing import Any

import pytest
from pymongo.database import Database

from twin_assets.errors import DocumentRejected, SourceUnavailable
from twin_assets.models.kinds import DataType
from twin_assets.source.client import Client, Document
from twin_assets.source.writer import MAX_DOCUMENT_BYTES, DocumentWriter, StorableDocument, storable
from twin_assets_tests.free_ports import free_port

POSTS = DataType.POSTS


@pytest.fixture
def writer(client: Client, database: Database[Document]) -> DocumentWriter:
    return DocumentWriter(client, database.name)


def sized(size: int, document_id: str = "a") -> StorableDocument:
    overhead = len(storable({"_id": document_id, "text": ""}).bson)
    return storable({"_id": document_id, "text": "x" * (size - overhead)})


@pytest.mark.parametrize(
    ("document", "reason"),
    [
        ({"_id": "a", "n": 1 << 64}, "MongoDB can only handle up to 8-byte ints"),
        ({"_id": "a", "k\0": 1}, "Key names must not contain the NULL"),
        ({"_id": "a", "text": "\ud800"}, "surrogates not allowed"),
        ({"_id": "a", "o": object()}, "cannot encode object"),
        ({"_id": "a\ufffd"}, "not valid UTF-8"),
        ({"_id": "x" * 2000}, "str of 2000 characters"),
    ],
)
def test_what_mongodb_cannot_hold_is_rejected_with_the_reason(document: dict[str, Any], reason: str) -> None:
    with pytest.raises(DocumentRejected, match=reason):
        storable(document)


def test_limit_is_exactly_16_mb() -> None:
    assert len(sized(MAX_DOCUMENT_BYTES).bson) == MAX_DOCUMENT_BYTES
    with pytest.raises(DocumentRejected, match="more than the 16 MB"):
        sized(MAX_DOCUMENT_BYTES + 1)


@pytest.mark.servers
def test_document_of_exactly_16_mb_is_inserted_and_replaced(
    writer: DocumentWriter, database: Database[Document]
) -> None:
    assert writer.write(POSTS, [sized(MAX_DOCUMENT_BYTES)]).inserted == 1
    assert writer.write(POSTS, [sized(MAX_DOCUMENT_BYTES)]).unchanged == 1
    assert writer.write(POSTS, [sized(MAX_DOCUMENT_BYTES - 1)]).updated == 1
    assert database.posts.count_documents({}) == 1


@pytest.mark.servers
def test_outcome_tells_new_changed_and_equal_documents_apart(writer: DocumentWriter) -> None:
    writer.write(POSTS, [storable({"_id": name, "n": 1}) for name in "ab"])
    outcome = writer.write(
        POSTS, [storable({"_id": name, "n": n}) for name, n in (("a", 1), ("b", 2), ("c", 3))]
    )
    assert (outcome.inserted, outcome.updated, outcome.unchanged) == (1, 1, 1)


@pytest.mark.servers
def test_prune_reaches_far_beyond_one_batch_and_keeps_the_rest(
    writer: DocumentWriter, database: Database[Document]
) -> None:
    documents = [storable({"_id": str(n), "ingested_from": "here"}) for n in range(2500)]
    writer.write(POSTS, [*documents, storable({"_id": "x", "ingested_from": "there"})])
    assert writer.prune(POSTS, "here", {"7"}) == 2499
    assert {document["_id"] for document in database.posts.find()} == {"7", "x"}


@pytest.mark.servers
def test_remove_tells_whether_the_document_was_there(writer: DocumentWriter) -> None:
    writer.write(POSTS, [storable({"_id": "a"})])
    assert writer.remove(POSTS, "a")
    assert not writer.remove(POSTS, "a")


def test_server_that_is_down_is_no_reason_to_refuse_a_document() -> None:
    with Client(f"mongodb://127.0.0.1:{free_port()}/", serverSelectionTimeoutMS=50) as nobody:
        writer = DocumentWriter(nobody, "none")
        with pytest.raises(SourceUnavailable):
            writer.write(POSTS, [storable({"_id": "a"})])
        with pytest.raises(SourceUnavailable):
            writer.prune(POSTS, "here", set())
