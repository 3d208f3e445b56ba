"""Bytewax source over the change queues.

Parallelism: one partition per queue that this replica consumes. Delivery: at least once, in order per
queue; nothing is acknowledged here, and nothing on close, since close also runs after an error.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

from bytewax.inputs import FixedPartitionedSource, StatefulSourcePartition

from twin_assets.broker.consumer import Delivery
from twin_assets.broker.topology import queue_name
from twin_assets.stream.intake import Intake

IDLE_WAIT_S = 0.05


class ChangeSource(FixedPartitionedSource[Delivery, None]):
    """Reads an intake until `stop` is set; then the flow comes to its end by itself.

    `look` is called between two rounds, several times a second.
    """

    def __init__(
        self, intake: Intake, *, stop: threading.Event, look: Callable[[], None] = lambda: None
    ) -> None:
        self._intake = intake
        self._stop = stop
        self._look = look
        self._partitions = {queue_name(queue): queue for queue in intake.queues}

    def list_parts(self) -> list[str]:
        """Name the partitions as the queues."""
        return list(self._partitions)

    def build_part(self, step_id: str, for_part: str, resume_state: None) -> _QueuePartition:  # noqa: ARG002
        """Return the partition of one queue; there is no state but the broker's."""
        queue = self._partitions[for_part]
        is_first = queue == self._intake.queues[0]
        # One partition waits for all, so that an idle stream wakes at once and costs no processor.
        return _QueuePartition(self._intake, queue, stop=self._stop, wait=self._wait if is_first else None)

    def _wait(self) -> None:
        self._look()
        self._intake.wait(IDLE_WAIT_S)


class _QueuePartition(StatefulSourcePartition[Delivery, None]):
    def __init__(
        self, intake: Intake, queue: int, *, stop: threading.Event, wait: Callable[[], None] | None
    ) -> None:
        self._intake = intake
        self._queue = queue
        self._stop = stop
        self._wait = wait

    def next_batch(self) -> list[Delivery]:
        if self._stop.is_set():
            raise StopIteration
        if self._wait is not None:
            self._wait()
        return self._intake.take(self._queue)

    def snapshot(self) -> None:
        return None
