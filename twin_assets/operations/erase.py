"""Deletes a document everywhere, and looks whether anything of it is left.

Safe to repeat: whatever ended the last attempt, the next one goes on from there.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from enum import StrEnum

from twin_assets.broker.depth import queue_depths
from twin_assets.errors import AmbiguousId, GenerationMissing, NotApplied, UnknownDocument
from twin_assets.faults import FaultPoint, fault_point
from twin_assets.models.base import document_key
from twin_assets.models.generation import GenerationStatus
from twin_assets.models.kinds import DataType, Snapshot
from twin_assets.operations.fragments import Fragments, texts_in
from twin_assets.operations.trace_files import look_in_files
from twin_assets.operations.traces import EVERY, Place, Sought, look_everywhere
from twin_assets.operations.twin import Twin
from twin_assets.operations.watermark import await_watermark, watermark_lag_s
from twin_assets.source.entries import entries_meant_by, id_of
from twin_assets.store.inspection import Inspection
from twin_assets.store.traces import held_entries

WAIT_S = 60.0


class State(StrEnum):
    """What there was of the document when the command began."""

    PRESENT = "present"
    DELETED = "already deleted"
    UNKNOWN = "unknown"


@dataclass
class Erasure:
    """What was done, and with a proof where was looked. Holds no text."""

    keys: list[str]
    state: State
    text_known: bool
    dead_letters_removed: int = 0
    places: list[Place] = field(default_factory=list)

    @property
    def left(self) -> int:
        """How many things of the document were found."""
        return sum(place.left for place in self.places)


def erase(
    twin: Twin, data_type: DataType, document_id: str, *, proof: bool = False, wait_s: float = WAIT_S
) -> Erasure:
    """Delete a document, wait until that is applied everywhere, remove its dead letters; then look for it.

    Raises UnknownDocument (with `proof` only for what can be no id), AmbiguousId, NotApplied where nothing
    applies the delete within `wait_s`, ServerUnavailable where a server is away: before anything is deleted.
    """
    twin.store.check()
    twin.dead_letters.count()  # asks RabbitMQ: nothing is begun that could not be finished
    state, sought = _find(twin, data_type, document_id)
    if state is State.UNKNOWN and not (proof and sought.entries):
        raise UnknownDocument(data_type.value, document_id)
    if state is State.PRESENT:
        twin.writer.remove(data_type, id_of(sought.entries[0]))
    fault_point(FaultPoint.DOCUMENT_DELETED)
    _await_applied(twin, wait_s)
    _erase_from_retired(twin, sought)
    twin.meta.clear_attempts(sought.keys)
    erasure = Erasure(sorted(sought.keys), state, bool(sought.fragments), _remove_letters(twin, sought))
    if proof:
        erasure.places = look_everywhere(twin, sought)
        erasure.places += look_in_files(twin.settings.state_dir, sought.fragments)
    return erasure


def _find(twin: Twin, data_type: DataType, document_id: str) -> tuple[State, Sought]:
    """Find out which document is meant, and what it says: MongoDB knows, else what is left elsewhere."""
    meant = entries_meant_by(document_id)
    read = twin.source.read({data_type: meant})
    present = {entry: document for (_, entry), document in read.documents.items() if document is not None}
    known = sorted(present or _held(twin, data_type, meant) | _lettered(twin, data_type, meant))
    if len(known) > 1:
        raise AmbiguousId(data_type.value, known)
    entries = tuple(known or meant)
    contents = (document.get("content") for document in present.values())
    texts = [*texts_in(list(contents)), *_held_texts(twin, data_type, entries)]
    state = State.PRESENT if present else State.DELETED if known else State.UNKNOWN
    return state, Sought(data_type, entries, Fragments(texts))


def _held(twin: Twin, data_type: DataType, entries: list[str]) -> set[str]:
    held: set[str] = set()
    for name in twin.collections.names():
        with suppress(GenerationMissing):
            held |= held_entries(twin.store, name, data_type, entries)
    return held


def _lettered(twin: Twin, data_type: DataType, entries: list[str]) -> set[str]:
    keys = {document_key(data_type, entry): entry for entry in entries}
    return {keys[each.letter.key] for each in twin.dead_letters.peek(EVERY) if each.letter.key in keys}


def _held_texts(twin: Twin, data_type: DataType, entries: Collection[str]) -> Iterator[str]:
    """Yield the text that generations hold: an older version than MongoDB's where that was refused."""
    for generation in twin.meta.generations(data_type, include_retired=True):
        with suppress(GenerationMissing):
            if generation.snapshot is Snapshot.CLEANED:
                yield from Inspection(twin.store, generation.collection).scan_texts(list(entries))
            else:
                for entry in entries:
                    yield from twin.store.chunk_texts(generation.collection, entry)


def _await_applied(twin: Twin, wait_s: float) -> None:
    if await_watermark(twin, twin.source.now(), until_s=time.monotonic() + wait_s):
        return
    url, queues = twin.settings.require_url("rabbitmq_url"), twin.settings.rabbitmq_queues
    lag_s = watermark_lag_s(twin)
    reason = "nothing has been applied yet" if lag_s is None else f"Qdrant is {lag_s:.0f} s behind"
    if not any(queue_depths(url, queues).consumers):
        reason = "no stream takes changes out of the queues"
    raise NotApplied("the document is deleted from MongoDB", limit_s=wait_s, reason=reason)


def _erase_from_retired(twin: Twin, sought: Sought) -> None:
    """Delete the document's points where no change arrives any more."""
    for generation in twin.meta.generations(sought.type, include_retired=True):
        if generation.status is GenerationStatus.RETIRED:
            with suppress(GenerationMissing):
                Inspection(twin.store, generation.collection).delete_entries(sought.entries)


def _remove_letters(twin: Twin, sought: Sought) -> int:
    """Remove what names the document, and what could not be decoded and holds its text."""
    removed = sum(twin.dead_letters.purge(key) for key in sorted(sought.keys))
    quoting = twin.dead_letters.take(lambda stored: sought.is_quoted_by(stored.letter), lambda _: None)
    return removed + len(quoting)
