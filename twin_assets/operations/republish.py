"""Publishing documents that no event names: the first snapshot, and the cure for a gap in the stream."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Sequence
from typing import TYPE_CHECKING

from twin_assets.errors import GenerationMissing
from twin_assets.faults import FaultPoint, fault_point
from twin_assets.models.change import Change, DeadLetter, Hint
from twin_assets.models.generation import Generation
from twin_assets.models.kinds import DataType
from twin_assets.operations.patience import Stopped
from twin_assets.source.events import unsupported_letter

if TYPE_CHECKING:
    from twin_assets.operations.twin import Twin

PAGE = 1000


class Republisher:
    """Publishes whole data types, in pages; `published` hears of each page: changes, dead letters.

    A document that changes meanwhile is found by whoever watches from `revision` on. Raises Stopped between
    two pages once `stop` is set.
    """

    def __init__(self, twin: Twin, *, stop: threading.Event, published: Callable[[int, int], None]) -> None:
        self._twin = twin
        self._stop = stop
        self._published = published

    def publish_all(self, types: Collection[DataType], revision: int) -> None:
        """Publish every document of MongoDB, and every one that only a generation still holds.

        Those first: while Qdrant is down, a caller that tries again fills no queue.
        """
        self.publish_vanished(types, revision)
        for data_type in sorted(types):
            for page in self._twin.source.pages(data_type, batch_size=PAGE):
                letters = [unsupported_letter(data_type, reason, revision) for reason in page.unsupported]
                self._publish([_change(data_type, entry, revision) for entry in page.entries], letters)

    def publish_vanished(self, types: Collection[DataType], revision: int) -> None:
        """Publish every document that a generation holds and MongoDB does not: deletes that nobody saw."""
        for generation in self._twin.meta.generations():
            if generation.type in types:
                self._publish_vanished(generation, revision)

    def _publish_vanished(self, generation: Generation, revision: int) -> None:
        try:
            for entries in self._twin.store.head_entries(generation.collection):
                absent = self._twin.source.absent(generation.type, entries)
                changes = [_change(generation.type, entry, revision, Hint.DELETE) for entry in absent]
                self._publish(changes, [])
        except GenerationMissing:
            # Registered and not created yet, or dropped a moment ago: nothing is held there.
            return

    def _publish(self, changes: Sequence[Change], letters: Sequence[DeadLetter]) -> None:
        if self._stop.is_set():
            raise Stopped
        self._twin.publisher.publish(changes)
        self._twin.publisher.publish_dead(letters)
        fault_point(FaultPoint.PAGE_PUBLISHED)
        self._published(len(changes), len(letters))


def _change(data_type: DataType, entry: str, revision: int, hint: Hint = Hint.UPSERT) -> Change:
    return Change(type=data_type, entry=entry, revision=revision, hint=hint)
