"""Documents as MongoDB holds them now, read so that the time of the read can order what is made of them."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pymongo.client_session import ClientSession
from pymongo.collection import Collection as MongoCollection

from twin_assets.errors import ClusterTimeWentBack, UnsupportedId
from twin_assets.models.kinds import DataType
from twin_assets.models.raw import RAW_MODELS
from twin_assets.source.client import Client, Document, database_of, dated_session, translate_errors
from twin_assets.source.documentdb import await_moment, is_documentdb, whole_second
from twin_assets.source.entries import entry_of, id_of, is_reversible
from twin_assets.source.ids import IdPage, read_id_pages
from twin_assets.source.plain import to_plain

FIELDS: dict[DataType, list[str]] = {
    data_type: sorted(set(model.model_fields) - {"entry"}) for data_type, model in RAW_MODELS.items()
}
Documents = dict[tuple[DataType, str], dict[str, Any] | None]


@dataclass(frozen=True)
class SourceRead:
    """Documents by (type, entry), None where there is none, all at least as new as `revision`.

    They hold the modelled fields alone, as plain Python, without `_id`.
    """

    revision: int
    documents: Documents


class DocumentSource:
    """The collections `posts`, `articles` and `repositories` of one database, read by majority.

    Every method raises SourceUnavailable where MongoDB does not answer. Safe to use from several threads.
    """

    def __init__(self, client: Client, database: str) -> None:
        self.client = client
        self.database = database
        self._unsupported: dict[DataType, list[str]] = {data_type: [] for data_type in DataType}

    def now(self) -> int:
        """Return the revision of this moment: reads from here on are at least as new."""
        with dated_session(self.client) as (_, revision):
            return revision

    def read(self, wanted: Mapping[DataType, Collection[str]], *, at_least: int = 0) -> SourceRead:
        """Read the current state of documents, at least as new as the `revision` returned with them.

        Raises ClusterTimeWentBack where that is below `at_least`.
        """
        if is_documentdb(self.client):
            at_least = whole_second(at_least)
        with dated_session(self.client) as (session, asked):
            revision = self._late_enough(session, asked, at_least=at_least)
            if revision < at_least:
                raise ClusterTimeWentBack(stored=at_least, now=revision)
            documents: Documents = {}
            for data_type, entries in wanted.items():
                documents |= self._find(session, data_type, entries)
            return SourceRead(revision, documents)

    def each(self, data_type: DataType, entries: Collection[str]) -> Iterator[tuple[str, dict[str, Any]]]:
        """Yield those of some documents that are there; memory holds one page of MongoDB's, 16 MB at most."""
        with dated_session(self.client) as (session, _):
            yield from self._found(session, data_type, entries)

    def scan(
        self, data_type: DataType, *, batch_size: int = 200, at_least: int = 0, after: str | None = None
    ) -> Iterator[SourceRead]:
        """Read all documents in the order of their `_id`, each batch with its own revision.

        `after` is the entry to go on behind. What vanished while scanning is left out; an `_id` that has no
        entry is left out too and listed in `unsupported_ids`.
        """
        for entries in self.entries(data_type, batch_size=batch_size, after=after):
            batch = self.read({data_type: entries}, at_least=at_least)
            present = {key: document for key, document in batch.documents.items() if document is not None}
            yield SourceRead(batch.revision, dict(present))

    def entries(
        self, data_type: DataType, *, batch_size: int = 1000, after: str | None = None
    ) -> Iterator[list[str]]:
        """Yield the entries of all documents in the order of their `_id`."""
        self._unsupported[data_type] = unsupported = []
        for page in self.pages(data_type, batch_size=batch_size, after=after):
            unsupported.extend(page.unsupported)
            if page.entries:
                yield page.entries

    def pages(
        self, data_type: DataType, *, batch_size: int = 1000, after: str | None = None
    ) -> Iterator[IdPage]:
        """Yield entries and unsupported `_id`s, page by page."""
        return read_id_pages(self.client, self.database, data_type.value, page_size=batch_size, after=after)

    def absent(self, data_type: DataType, entries: Collection[str]) -> list[str]:
        """Return those of the entries that have no document now, malformed ones left out."""
        known = [entry for entry in entries if is_reversible(entry)]
        with dated_session(self.client) as (session, _):
            found = self._collection(data_type).find(_by_id(known), {"_id": 1}, session=session)
            present = {_key_of(data_type, document["_id"]) for document in found}
        return [entry for entry in known if (data_type, entry) not in present]

    def unsupported_ids(self, data_type: DataType) -> list[str]:
        """Return what the latest `scan` or `entries` of this type left out, described in one line each."""
        return list(self._unsupported[data_type])

    def count(self, data_type: DataType) -> int:
        """Return the exact number of documents, unsupported `_id`s included."""
        with translate_errors(self.client):
            return self._collection(data_type).count_documents({})

    def _collection(self, data_type: DataType) -> MongoCollection[Document]:
        return database_of(self.client, self.database)[data_type.value]

    def _late_enough(self, session: ClientSession, asked: int, *, at_least: int) -> int:
        """Return the revision of a read that a change led to."""
        if at_least and is_documentdb(self.client):
            return await_moment(self.client, session, behind=asked, at_least=at_least)
        return asked

    def _find(self, session: ClientSession, data_type: DataType, entries: Collection[str]) -> Documents:
        documents: Documents = {(data_type, entry): None for entry in entries}
        for entry, document in self._found(session, data_type, entries):
            documents[data_type, entry] = document
        return documents

    def _found(
        self, session: ClientSession, data_type: DataType, entries: Collection[str]
    ) -> Iterator[tuple[str, dict[str, Any]]]:
        wanted = {entry for entry in entries if is_reversible(entry)}
        with self._collection(data_type).find(_by_id(wanted), FIELDS[data_type], session=session) as cursor:
            for found in cursor:
                key = _key_of(data_type, found.pop("_id"))
                if key is not None and key[1] in wanted:
                    yield key[1], to_plain(found)


def _by_id(entries: Collection[str]) -> Document:
    return {"_id": {"$in": [id_of(entry) for entry in entries]}}


def _key_of(data_type: DataType, value: object) -> tuple[DataType, str] | None:
    """Return None for an equal `_id` of another kind: MongoDB finds 1.0 where 1 is asked for."""
    try:
        return data_type, entry_of(value)
    except UnsupportedId:
        return None
