"""The change stream that a server has: MongoDB's or DocumentDB's."""

from __future__ import annotations

from twin_assets.source.changes import ChangeStream, Position
from twin_assets.source.client import Client
from twin_assets.source.documentdb import is_documentdb
from twin_assets.source.documentdb_changes import DocumentDbChangeStream


def watch(client: Client, database: str, position: Position, *, limit: int = 1000) -> ChangeStream:
    """Return the changes behind a position, to be opened by `with`; `limit` is the size of a batch."""
    kind = DocumentDbChangeStream if is_documentdb(client) else ChangeStream
    return kind(client, database, position, limit=limit)
