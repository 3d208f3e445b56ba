"""Bytewax source over the change queues.

Parallelism: one partition per queue that this replica consumes. Delivery: at least once, in order per
queue; nothing is acknowledged here, and nothing on close, since close also runs after an error.
"""

from __future__ import annotations

import threading

from bytewax.inputs import FixedPartitionedSource, StatefulSourcePartition

from twin_assets.broker.consumer import Delivery
from twin_assets.broker.topology import queue_name
from twin_assets.stream.intake import Intake

IDLE_WAIT_S = 0.05


class ChangeSource(FixedPartitionedSource[Delivery, None]):
    """Reads an intake until `stop` is set; then the flow comes to its end by itself."""

    def __init__(self, intake: Intake, *, stop: threading.Event) -> None:
        self._intake = intake
        self._stop = stop
        self._partitions = {queue_name(queue): queue for queue in intake.queues}

    def list_parts(self) -> list[str]:
        """Name the partitions as the queues."""
        return list(self._partitions)

    def build_part(self, step_id: str, for_part: str, resume_state: None) -> _QueuePartition:  # noqa: ARG002
        """Return the partition of one queue; there is no state but the broker's."""
        queue = self._partitions[for_part]
        return _QueuePartition(self._intake, queue, stop=self._stop, waits=queue == self._intake.queues[0])


class _QueuePartition(StatefulSourcePartition[Delivery, None]):
    def __init__(self, intake: Intake, queue: int, *, stop: threading.Event, waits: bool) -> None:
        self._intake = intake
        self._queue = queue
        self._stop = stop
        self._waits = waits

    def next_batch(self) -> list[Delivery]:
        if self._stop.is_set():
            raise StopIteration
        if self._waits:
            # One partition waits for all, so that an idle stream wakes at once and costs no processor.
            self._intake.wait(IDLE_WAIT_S)
        return self._intake.take(self._queue)

    def snapshot(self) -> None:
        return None
