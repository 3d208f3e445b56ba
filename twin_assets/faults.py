"""Named points at which tests may end, pause or fail a process. Nothing in the package arms them."""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum


class FaultPoint(StrEnum):
    """A place between two effects on a server: what came before has happened, what comes after has not."""

    READ = "fetch: documents are read, generations are not"
    PLANNED = "plan: everything is compared, nothing is written"
    STAGED = "embed: a slice of new chunks is stored"
    KEPT_MOVED = "write: kept chunks have moved"
    VERIFIED = "write: every wanted chunk is there"
    HEADS_WRITTEN = "write: heads are written, older chunks are still there"
    STALE_DELETED = "write: older chunks are deleted, heads are not settled"
    GENERATION_WRITTEN = "write: one generation is finished"
    ALL_WRITTEN = "write: every generation is finished, markers are not stored"
    MARKERS_STORED = "write: markers are stored, nothing is acknowledged"
    ACKNOWLEDGED = "write: the acknowledgement is on its way"
    CHANGES_PUBLISHED = "capture: changes are confirmed, the position is not saved"
    POSITION_SAVED = "capture: the position is saved"
    PAGE_PUBLISHED = "capture: a page of documents is published, others may not be"
    SNAPSHOT_PUBLISHED = "capture: every document is published, no position is saved"
    GENERATION_REGISTERED = "rebuild: a generation is registered, its collection does not exist"
    COLLECTION_CREATED = "rebuild: the collection exists, nothing is scanned"
    BATCH_SCANNED = "rebuild: one batch of the scan is written"
    PROVEN = "rebuild: the checks have passed, nothing is switched"
    ALIAS_SWITCHED = "rebuild: the alias is switched, the registry is not"
    DOCUMENT_DELETED = "erase: the document is deleted from MongoDB, nothing else has happened"


_armed: list[Callable[[FaultPoint], None]] = []


def fault_point(point: FaultPoint) -> None:
    """Tell whoever armed the faults that this point is reached; does nothing in production."""
    for call in _armed:
        call(point)


def arm(call: Callable[[FaultPoint], None]) -> Callable[[], None]:
    """Have `call` called at every point that is reached, for tests; returns what disarms it."""
    _armed.append(call)
    return lambda: _armed.remove(call)
