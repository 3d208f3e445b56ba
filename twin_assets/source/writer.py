"""Writes whole documents into MongoDB, and only those that differ from what is stored.

Idempotent: the same documents again cause no write, hence no change event. Documents are compared as BSON
bytes, so the order of keys counts, as it does for the text that is made of them.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from bson import CodecOptions, encode
from bson.errors import InvalidDocument
from bson.raw_bson import RawBSONDocument
from pymongo import ReplaceOne
from pymongo.collection import Collection as MongoCollection
from pymongo.errors import BulkWriteError

from twin_assets.errors import DocumentRejected, SourceUnavailable, UnsupportedId
from twin_assets.models.kinds import DataType
from twin_assets.source.client import (
    CODEC,
    TRANSIENT_CODES,
    Client,
    address_of,
    database_of,
    translate_errors,
)
from twin_assets.source.entries import entry_of

INGESTED_FROM = "ingested_from"
MAX_DOCUMENT_BYTES = 16 * 1024 * 1024
PRUNE_BATCH = 1000
# Seen with a cache of 0.25 GB at documents of 12 MB and more; with 0.5 GB never.
TOO_LARGE_FOR_CACHE = 388

RAW: CodecOptions[RawBSONDocument] = CODEC.with_options(document_class=RawBSONDocument)


@dataclass(frozen=True)
class StorableDocument:
    """A document as MongoDB will hold it: its `_id` and its BSON."""

    id: str
    bson: bytes


@dataclass
class WriteOutcome:
    """What one batch did; `refused` holds the server's reason by `_id`."""

    inserted: int = 0
    updated: int = 0
    unchanged: int = 0
    refused: dict[str, str] = field(default_factory=dict)


def storable(document: Mapping[str, Any]) -> StorableDocument:
    """Encode a document with a text as `_id`.

    Raises DocumentRejected where MongoDB cannot hold it, such as above 16 MB, or its `_id` has no entry.
    """
    key = str(document["_id"])
    try:
        entry_of(document["_id"])
        body = encode(document)
    except (InvalidDocument, OverflowError, RecursionError, UnsupportedId, ValueError) as error:
        raise DocumentRejected(stage="ingesting", key=key, reason=_one_line(error)) from None
    if len(body) > MAX_DOCUMENT_BYTES:
        size = f"its {len(body) / 1024 / 1024:.1f} MB are more than the 16 MB that MongoDB stores"
        raise DocumentRejected(stage="ingesting", key=key, reason=size)
    return StorableDocument(key, body)


class DocumentWriter:
    """Replaces whole documents in the collections of one database, one writer at a time per source.

    Every method raises SourceUnavailable where MongoDB does not answer; what was written before stays.
    """

    def __init__(self, client: Client, database: str) -> None:
        self._client = client
        self._database = database_of(client, database)

    def write(self, data_type: DataType, documents: Sequence[StorableDocument]) -> WriteOutcome:
        """Insert what is new, replace what differs, leave the rest alone. The ids must be distinct."""
        wanted = {document.id: document for document in documents}
        with translate_errors(self._client):
            same, different = self._compare(data_type, wanted)
            outcome = WriteOutcome(
                inserted=len(wanted) - len(same) - len(different), updated=len(different), unchanged=len(same)
            )
            changed = [document for document in documents if document.id not in same]
            refused = self._replace(data_type, changed)
        for document_id in refused:
            if document_id in different:
                outcome.updated -= 1
            else:
                outcome.inserted -= 1
        outcome.refused.update(refused)
        return outcome

    def remove(self, data_type: DataType, document_id: object) -> bool:
        """Delete one document; return whether it was there."""
        with translate_errors(self._client):
            return self._database[data_type.value].delete_one({"_id": document_id}).deleted_count == 1

    def prune(self, data_type: DataType, source: str, keep: Collection[str]) -> int:
        """Delete the documents that `source` brought and that are not in `keep`; return how many."""
        collection = self._database[data_type.value]
        deleted = 0
        with translate_errors(self._client):
            gone = (
                document["_id"]
                for document in collection.find({INGESTED_FROM: source}, {"_id": True})
                if document["_id"] not in keep
            )
            for ids in _batches(gone, PRUNE_BATCH):
                result = collection.delete_many({"_id": {"$in": ids}, INGESTED_FROM: source})
                deleted += result.deleted_count
        return deleted

    def _compare(
        self, data_type: DataType, wanted: Mapping[str, StorableDocument]
    ) -> tuple[set[str], set[str]]:
        same: set[str] = set()
        different: set[str] = set()
        for stored in self._raw(data_type).find({"_id": {"$in": list(wanted)}}):
            document_id = stored["_id"]
            equal = stored.raw == wanted[document_id].bson
            (same if equal else different).add(document_id)
        return same, different

    def _replace(self, data_type: DataType, documents: Sequence[StorableDocument]) -> dict[str, str]:
        """Write the documents; return the reason of each one that the server refused."""
        if not documents:
            return {}
        requests: list[ReplaceOne[RawBSONDocument]] = [
            ReplaceOne({"_id": document.id}, RawBSONDocument(document.bson), upsert=True)
            for document in documents
        ]
        try:
            self._raw(data_type).bulk_write(requests, ordered=False)
        except BulkWriteError as error:
            failures = error.details["writeErrors"]
            if not failures or any(failure["code"] in TRANSIENT_CODES for failure in failures):
                raise SourceUnavailable(address_of(self._client), _one_line(error)) from error
            return {documents[failure["index"]].id: _reason(failure) for failure in failures}
        return {}

    def _raw(self, data_type: DataType) -> MongoCollection[RawBSONDocument]:
        database = self._database.with_options(codec_options=RAW)
        return database.get_collection(data_type.value)


def _reason(failure: Mapping[str, Any]) -> str:
    if failure["code"] == TOO_LARGE_FOR_CACHE:
        return (
            "its cache is too small for a document of this size; give mongod a --wiredTigerCacheSizeGB of 0.5"
        )
    return _one_line(failure["errmsg"])


def _batches(ids: Iterator[Any], size: int) -> Iterator[list[Any]]:
    while batch := list(islice(ids, size)):
        yield batch


def _one_line(error: object) -> str:
    return " ".join(str(error).split())[:200]
