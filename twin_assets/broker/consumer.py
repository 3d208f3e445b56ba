"""Takes changes out of the queues: at least once, in order per queue, acknowledged only on demand.

Parallelism: one channel per queue, and a single active consumer per queue across all processes; a queue
that another process is consuming delivers nothing here until that one leaves.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import count
from types import TracebackType
from typing import Self

from twin_assets.broker.codec import decode
from twin_assets.broker.connection import CLOSE_TIMEOUT_S, CONNECT_TIMEOUT_S, parse_url, redact
from twin_assets.broker.io_thread import IoThread
from twin_assets.broker.link_keeper import LinkKeeper
from twin_assets.broker.queue_link import QueueLink, Received
from twin_assets.errors import BrokerUnavailable, ConfigurationError, MalformedMessage, TwinError
from twin_assets.models.change import Change, Marker

FIRST_ATTEMPT_TIMEOUT_S = 2 * CONNECT_TIMEOUT_S
CLOSE_FLUSH_S = 2.0
LEAVE_TIMEOUT_S = 2 * CLOSE_TIMEOUT_S


@dataclass(frozen=True)
class Delivery:
    """One message in hand. `attempts` counts its earlier deliveries, lost connections included.

    `epoch` names the channel it came through: once that is gone, `tag` means nothing. `headers` are those
    that are text; `taken_ns` is when it was taken in hand, in ns since the epoch.
    """

    queue: int
    tag: int
    epoch: int
    attempts: int
    message: Change | Marker | MalformedMessage
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict, compare=False)
    taken_ns: int = field(default=0, compare=False)


class ChangeConsumer:
    """Consumes the queues `indexes` of N, at most `prefetch` unacknowledged messages of each in hand.

    Reconnects for ever: a lost connection only shows in `connected` and `last_error`, and what was not
    acknowledged comes again, in order. Queues that do not exist yet are waited for, never created.
    Opening raises ConfigurationError for a refused login or another N, not BrokerUnavailable.
    """

    def __init__(self, url: str, *, queues: int, indexes: Sequence[int], prefetch: int) -> None:
        self._url = parse_url(url)
        self._arrival = threading.Condition()
        self._is_woken = False
        epochs = count(1)
        self._links = {
            index: QueueLink(index, prefetch=prefetch, epochs=epochs, on_message=self._announce)
            for index in indexes
        }
        self._keeper = LinkKeeper(
            self._url, queues=queues, links=list(self._links.values()), on_attempt=self._note_attempt
        )
        self._io: IoThread | None = None
        self._task: asyncio.Future[None] | None = None
        self._first_attempt = threading.Event()
        self._first_error: TwinError | None = None
        self._failure: BaseException | None = None

    def __enter__(self) -> Self:
        self._io = IoThread("twin consumer", where=redact(self._url))
        self._io.post(self._start)
        self._first_attempt.wait(FIRST_ATTEMPT_TIMEOUT_S)
        if isinstance(self._first_error, ConfigurationError):
            self.close()
            raise self._first_error
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Send pending acknowledgements and leave, within seconds; what is in hand goes back to its queue."""
        io = self._io
        if io is None:
            return
        self.flush(CLOSE_FLUSH_S)
        self._io = None
        with suppress(BrokerUnavailable):
            io.run(self._leave(), timeout_s=LEAVE_TIMEOUT_S)
        io.close()
        self.wake()

    @property
    def connected(self) -> bool:
        """Whether every queue is being consumed, or stood in line for."""
        return self._keeper.is_connected

    @property
    def last_error(self) -> str:
        """What is in the way of a connection; empty while nothing is."""
        return self._keeper.last_error

    @property
    def unreachable(self) -> str:
        """Why there is no connection at all; empty while there is one, whatever the queues say."""
        return self._keeper.unreachable

    def poll(self, queue: int, limit: int) -> list[Delivery]:
        """Return up to `limit` messages of a queue, oldest first, without waiting."""
        if self._failure is not None:
            raise self._failure
        return [_delivery(queue, received) for received in self._links[queue].take(limit)]

    def wait(self, timeout_s: float) -> bool:
        """Wait until a queue has a message to poll, or `wake`; return whether one has."""
        with self._arrival:
            self._arrival.wait_for(lambda: self._is_woken or self._has_messages(), timeout_s)
            self._is_woken = False
            return self._has_messages()

    def wake(self) -> None:
        """End the present wait, or else the next one, at once; callable from any thread."""
        self._is_woken = True
        self._announce()

    def acknowledge(self, deliveries: Collection[Delivery]) -> None:
        """Tell the broker to forget these messages; callable from any thread, returns at once.

        Deliveries of a lost channel are ignored: they come again.
        """
        io = self._io
        if io is None:
            return
        tags: dict[tuple[int, int], list[int]] = {}
        for delivery in deliveries:
            tags.setdefault((delivery.queue, delivery.epoch), []).append(delivery.tag)
        for (queue, epoch), settled in tags.items():
            io.post(self._links[queue].settle, epoch, settled)

    def flush(self, timeout_s: float) -> bool:
        """Wait until the broker has seen all acknowledgements; False where it did not in time."""
        io = self._io
        if io is None or not any(link.has_channel for link in self._links.values()):
            return False
        try:
            io.run(self._keeper.flush(), timeout_s=timeout_s)
        except BrokerUnavailable:
            return False
        return True

    def _announce(self) -> None:
        with self._arrival:
            self._arrival.notify_all()

    def _has_messages(self) -> bool:
        return self._failure is not None or any(link.has_messages for link in self._links.values())

    def _start(self) -> None:
        self._task = asyncio.ensure_future(self._keeper.run())
        self._task.add_done_callback(self._on_end)

    async def _leave(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])

    def _on_end(self, task: asyncio.Future[None]) -> None:
        if not task.cancelled():
            self._failure = task.exception()
        self._first_attempt.set()
        self.wake()

    def _note_attempt(self, error: TwinError | None) -> None:
        if not self._first_attempt.is_set():
            self._first_error = error
            self._first_attempt.set()


def _delivery(queue: int, received: Received) -> Delivery:
    message: Change | Marker | MalformedMessage
    try:
        message = decode(received.body)
    except MalformedMessage as error:
        message = error
    return Delivery(
        queue=queue,
        tag=received.tag,
        epoch=received.epoch,
        attempts=received.attempts,
        message=message,
        body=received.body,
        headers=received.headers,
        taken_ns=time.time_ns(),
    )
