"""What the steps share: the open twin, the processors, patience with servers, the way to the dead letters."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Protocol, TypeVar

from twin_assets.errors import DocumentRejected, GenerationMissing
from twin_assets.models.change import DeadLetter
from twin_assets.models.generation import Generation, GenerationStatus
from twin_assets.operations.batch import Batch, Item
from twin_assets.operations.patience import Patience
from twin_assets.operations.processors import Processors
from twin_assets.operations.rejection import dead_letter
from twin_assets.operations.twin import Twin

T = TypeVar("T")


class DeadLetterOffice(Protocol):
    """Takes what could not be processed; returns once it is safe."""

    def publish_dead(self, letters: Sequence[DeadLetter]) -> None: ...


@dataclass(frozen=True)
class StepContext:
    """One thread's tools for all steps."""

    twin: Twin
    processors: Processors
    patience: Patience
    dead_letters: DeadLetterOffice

    def unless_dropped(self, generation: Generation, call: Callable[[], T]) -> T | None:
        """Call with patience; go on without a generation that was dropped after the registry was read.

        Or that is not created yet: its scan begins behind that, so it finds what is left out here.
        """
        try:
            return self.patience(call)
        except GenerationMissing:
            known = self.patience(self.twin.meta.generations)
            expected = {found.collection for found in known if found.status is not GenerationStatus.BUILDING}
            if generation.collection in expected:
                raise
            return None

    def send_away(self, batch: Batch, rejected: Sequence[tuple[Item, DocumentRejected]]) -> None:
        """Put refused documents into the dead letters, before their heads are quarantined."""
        letters = [dead_letter(item, reason, revision=batch.revision) for item, reason in rejected]
        if letters:
            self.patience(partial(self.dead_letters.publish_dead, letters))
            batch.counts.rejected += len(letters)
