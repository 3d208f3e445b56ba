"""Which documents MongoDB has, without reading what they hold."""

from __future__ import annotations

from collections.abc import Collection

from twin_assets.errors import UnsupportedId
from twin_assets.models.base import DataType
from twin_assets.source.client import database_of, translate_errors
from twin_assets.source.documents import DocumentSource
from twin_assets.source.entries import entry_of, id_of


def present_entries(source: DocumentSource, data_type: DataType, entries: Collection[str]) -> set[str]:
    """Return those of the entries that have a document, by one majority read of ids."""
    ids = [id_of(entry) for entry in entries if is_reversible(entry)]
    collection = database_of(source.client, source.database)[data_type.value]
    with translate_errors(source.client):
        found = collection.find({"_id": {"$in": ids}}, {"_id": True}).to_list()
    return {_entry(document["_id"]) for document in found} & set(entries)


def is_reversible(entry: str) -> bool:
    """Say whether some document could have this entry."""
    try:
        id_of(entry)
    except UnsupportedId:
        return False
    return True


def _entry(value: object) -> str:
    try:
        return entry_of(value)
    except UnsupportedId:
        return ""
