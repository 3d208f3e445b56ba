"""What one pass through the flow carries: some deliveries, and the documents they lead to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from twin_assets.broker.consumer import Delivery
from twin_assets.models.change import Change, Marker
from twin_assets.operations.batch import Batch
from twin_assets.operations.tracing import Applied, Stopwatch


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
    stopwatch: Stopwatch = field(default_factory=Stopwatch)

    @property
    def passed(self) -> list[tuple[int, Marker]]:
        """All markers with their queues, in order; `markers` has the last of each queue."""
        return [(each.queue, each.message) for each in self.deliveries if isinstance(each.message, Marker)]

    @property
    def traced(self) -> list[Applied]:
        """The changes whose sender wants to know what became of them."""
        traced = [(each, each.message) for each in self.deliveries if each.headers]
        rejected = (
            {item.key: error.stage for item, error in self.batch.newly_rejected()}
            if self.batch and traced
            else {}
        )
        return [
            Applied(
                change=message,
                headers=delivery.headers,
                taken_ns=delivery.taken_ns,
                rejected_while=rejected.get(message.key, ""),
                round_documents=len(self.batch.items) if self.batch else 0,
                round_embedded=self.batch.counts.chunks_embedded if self.batch else 0,
            )
            for delivery, message in traced
            if isinstance(message, Change)
        ]
