"""What is left of a document, and where: every collection, queue and record that can be asked."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from twin_assets.broker.depth import queue_depths
from twin_assets.errors import GenerationMissing
from twin_assets.models.base import document_key
from twin_assets.models.change import DeadLetter
from twin_assets.models.kinds import DataType
from twin_assets.operations.fragments import Fragments, texts_in
from twin_assets.operations.twin import Twin
from twin_assets.store.traces import is_tombstone, scan_payloads

PAGE = 100
EVERY = sys.maxsize
UNREGISTERED = "not in the registry"
NOT_READABLE = (
    "not read: beside the stream nobody can. All that was sent before the delete has been taken out; "
    "messages carry keys alone; now waiting: {waiting}"
)


@dataclass
class Place:
    """One place that was looked at: how many things (None: it was not), and what was found there.

    `by_key` counts what names the document, `by_text` what holds its text without naming it, and `kept` what
    stays on purpose: tombstones. None means that it was not looked for in this way.
    """

    place: str
    name: str
    looked_at: int | None = 0
    by_key: int | None = 0
    by_text: int | None = 0
    kept: int = 0
    note: str = ""

    @property
    def left(self) -> int:
        """How many things should not be there."""
        return (self.by_key or 0) + (self.by_text or 0)


@dataclass(frozen=True)
class Sought:
    """A document by its key, and by its text where that is known. `entries` are several for a doubtful id."""

    type: DataType
    entries: tuple[str, ...]
    fragments: Fragments = field(repr=False)

    @property
    def keys(self) -> frozenset[str]:
        """`type/entry` of each."""
        return frozenset(document_key(self.type, entry) for entry in self.entries)

    def is_named_by(self, payload: dict[str, Any]) -> bool:
        """Say whether a point names the document; one without a type may mean it."""
        return payload.get("entry") in self.entries and payload.get("type", self.type) == self.type

    def is_quoted_by(self, letter: DeadLetter) -> bool:
        """Say whether a dead letter holds the text."""
        quoted = self.fragments.in_texts([letter.reason, letter.traceback])
        return bool(quoted) or self.fragments.are_in_bytes(letter.body or b"")

    def place(self, place: str, name: str, note: str = "") -> Place:
        """Begin to look at a place."""
        return Place(place, name, by_text=0 if self.fragments else None, note=note)


def look_everywhere(twin: Twin, sought: Sought) -> list[Place]:
    """Look at every place on the three servers. Raises ServerUnavailable."""
    return [
        _look_in_source(twin, sought),
        *_look_in_collections(twin, sought),
        _look_in_dead_letters(twin, sought),
        _queues(twin),
        *_look_in_records(twin, sought),
    ]


def _look_in_source(twin: Twin, sought: Sought) -> Place:
    read = twin.source.read({sought.type: sought.entries})
    found = sum(document is not None for document in read.documents.values())
    note = "somebody has written it again" if found else ""
    return Place("mongodb", sought.type.value, len(read.documents), by_key=found, by_text=None, note=note)


def _look_in_collections(twin: Twin, sought: Sought) -> Iterator[Place]:
    """Look at all that Qdrant has: a collection that the registry forgot holds text as well."""
    generations = twin.meta.generations(include_retired=True)
    status = {generation.collection: generation.status.value for generation in generations}
    for name in twin.collections.names():
        place = sought.place("qdrant", name, status.get(name, UNREGISTERED))
        try:
            _look_in_collection(twin, sought, place)
        except GenerationMissing:
            continue  # dropped since it was listed
        yield place


def _look_in_collection(twin: Twin, sought: Sought, place: Place) -> None:
    suspects: dict[tuple[DataType, str], list[frozenset[str]]] = {}
    place.looked_at = 0
    named = quoted = 0
    for payload in scan_payloads(twin.store, place.name):
        place.looked_at += 1
        if sought.is_named_by(payload):
            is_kept = is_tombstone(payload)
            place.kept += is_kept
            named += not is_kept
        elif pieces := sought.fragments.in_texts(texts_in(payload)):
            if (other := _document_of(payload)) is None:
                quoted += 1
            else:
                suspects.setdefault(other, []).append(pieces)
    place.by_key = named
    if sought.fragments:
        place.by_text = quoted + _count_foreign(twin, suspects)


def _document_of(payload: dict[str, Any]) -> tuple[DataType, str] | None:
    try:
        return DataType(payload["type"]), str(payload["entry"])
    except (KeyError, ValueError):
        return None


def _count_foreign(twin: Twin, suspects: dict[tuple[DataType, str], list[frozenset[str]]]) -> int:
    """Count the points whose own document, as MongoDB has it, does not say the same words."""
    names = list(suspects)
    found = 0
    for start in range(0, len(names), PAGE):
        wanted: dict[DataType, list[str]] = {}
        for data_type, entry in names[start : start + PAGE]:
            wanted.setdefault(data_type, []).append(entry)
        for name, document in twin.source.read(wanted).documents.items():
            own = "\n".join(texts_in(document))
            found += sum(any(piece not in own for piece in pieces) for pieces in suspects[name])
    return found


def _look_in_dead_letters(twin: Twin, sought: Sought) -> Place:
    letters = [stored.letter for stored in twin.dead_letters.peek(EVERY)]
    named = [letter for letter in letters if letter.key in sought.keys]
    quoting = [letter for letter in letters if letter not in named and sought.is_quoted_by(letter)]
    place = sought.place("rabbitmq", "dead letters")
    place.looked_at, place.by_key = len(letters), len(named)
    if sought.fragments:
        place.by_text = len(quoting)
    return place


def _queues(twin: Twin) -> Place:
    url, queues = twin.settings.require_url("rabbitmq_url"), twin.settings.rabbitmq_queues
    note = NOT_READABLE.format(waiting=queue_depths(url, queues).total)
    return Place("rabbitmq", "change queues", None, by_key=None, by_text=None, note=note)


def _look_in_records(twin: Twin, sought: Sought) -> Iterable[Place]:
    places: dict[str, Place] = {}
    for name, record in twin.meta.records():
        place = places.setdefault(name, sought.place("mongodb", f"{twin.settings.meta_database}.{name}"))
        texts = list(texts_in(record))
        place.looked_at = (place.looked_at or 0) + 1
        if not sought.keys.isdisjoint(texts):
            place.by_key = (place.by_key or 0) + 1
        elif sought.fragments.in_texts(texts):
            place.by_text = (place.by_text or 0) + 1
    return places.values()
