"""What one pass through the flow carries: some deliveries, and the documents they lead to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from twin_assets.broker.consumer import Delivery
from twin_assets.models.change import Change, Marker
from twin_assets.operations.batch import Batch


@dataclass
class Round:
    """Deliveries on their way to one write and one acknowledgement.

    `condemned` holds the keys of documents that have ended the stream too often.
    """

    deliveries: Sequence[Delivery]
    changes: list[Change]
    markers: dict[int, Marker]
    condemned: set[str] = field(default_factory=set)
    batch: Batch | None = None

    @property
    def passed(self) -> list[tuple[int, Marker]]:
        """All markers with their queues, in order; `markers` has the last of each queue."""
        return [(each.queue, each.message) for each in self.deliveries if isinstance(each.message, Marker)]
