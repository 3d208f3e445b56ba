"""What travels through the queues: changes and markers, and what ends as a dead letter. None carries text."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from twin_assets.models.base import Entry, TwinModel, document_key
from twin_assets.models.kinds import DataType

REVISION_BITS = 20
HARMLESS_REVISION = 0


def revision_of(time_s: int, increment: int) -> int:
    """Pack a MongoDB cluster time into one integer that a float64 holds exactly.

    Raises ValueError where the increment outgrows its 20 bits: a million operations within one second.
    """
    if not 0 <= increment < 1 << REVISION_BITS:
        raise ValueError(f"cluster time increment {increment} does not fit into {REVISION_BITS} bits")
    return time_s << REVISION_BITS | increment


def seconds_of(revision: int) -> int:
    """Return the wall time (s since the epoch) of a revision."""
    return revision >> REVISION_BITS


class Hint(StrEnum):
    """What the source said had happened; only a hint, since the current state is read anyway."""

    UPSERT = "upsert"
    DELETE = "delete"


class Change(TwinModel):
    """Look at this document: it changed at `revision` or before.

    `force` skips the unchanged test and the chunk diff, and overrides an impossible stored revision.
    """

    type: DataType
    entry: Entry
    revision: int
    hint: Hint = Hint.UPSERT
    force: bool = False

    @property
    def key(self) -> str:
        """`type/entry`."""
        return document_key(self.type, self.entry)


class Marker(TwinModel):
    """Every change up to `position` stands before this message in its queue.

    `as_of` says the same by MongoDB's wall clock: what was committed before it stands before this message.
    """

    position: int
    sent_at: datetime
    as_of: datetime | None = None


class DeadLetter(TwinModel):
    """One thing that could not be processed, and why. `body` only where it could not be decoded."""

    stage: str
    reason: str
    traceback: str = ""
    at: datetime
    type: DataType | None = None
    entry: str | None = None
    revision: int = HARMLESS_REVISION
    body: bytes | None = None

    @property
    def key(self) -> str:
        """`type/entry`, or `?` where the message could not be decoded."""
        return f"{self.type or '?'}/{self.entry or '?'}"
