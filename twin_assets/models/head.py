"""Heads: what a generation has applied of one document."""

from __future__ import annotations

from twin_assets.models.base import Entry, TwinModel, document_key
from twin_assets.models.kinds import DataType


class Head(TwinModel):
    """A document's head, read back from Qdrant without its text.

    `settled` says that no older chunk is left; only then may "unchanged" be concluded.
    """

    entry: Entry
    type: DataType
    revision: int
    source_hash: str = ""
    content_hash: str = ""
    chunk_count: int = 0
    recipe: str = ""
    settled: bool = False
    deleted: bool = False
    quarantined: bool = False
    quarantine_hash: str = ""

    @property
    def key(self) -> str:
        """`type/entry`."""
        return document_key(self.type, self.entry)
