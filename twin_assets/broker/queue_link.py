"""One queue's consumption: its channel, what was received and not yet taken, and what is unacknowledged.

Everything runs on the I/O thread, but for `take` and the `has`/`is` properties.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from aio_pika import Connection
from aiormq.abc import AbstractChannel, DeliveredMessage

from twin_assets.broker.connection import close_channel, close_connection, open_channel
from twin_assets.broker.topology import ANSWER_TIMEOUT_S, queue_name

ATTEMPTS_HEADER = "x-delivery-count"
LONGEST_HEADER = 256


@dataclass(frozen=True)
class Received:
    """A message as it came."""

    tag: int
    epoch: int
    attempts: int
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)


class QueueLink:
    """Consumes one queue through one channel at a time; each channel is an epoch of its own."""

    def __init__(
        self, index: int, *, prefetch: int, epochs: Iterator[int], on_message: Callable[[], None]
    ) -> None:
        self.queue = queue_name(index)
        self._prefetch = prefetch
        self._epochs = epochs
        self._on_message = on_message
        self._buffer: deque[Received] = deque()
        self.epoch = 0
        self._channel: AbstractChannel | None = None
        self._unacknowledged: dict[int, None] = {}  # in order of delivery
        self._settled: set[int] = set()
        self._settling = asyncio.Event()
        self._cancelled = asyncio.Event()
        self._sending = asyncio.Lock()
        self.is_subscribed = False
        self.heard_at = 0.0  # by the monotonic clock: the last message, or the subscription

    @property
    def has_channel(self) -> bool:
        """Whether something may be in hand: messages may come before the word that they will."""
        return self._channel is not None

    @property
    def is_waiting(self) -> bool:
        """Whether a message could come: subscribed, and nothing in hand."""
        return self.is_subscribed and not self._unacknowledged

    @property
    def has_messages(self) -> bool:
        """Whether `take` would return something."""
        return bool(self._buffer)

    def take(self, limit: int) -> list[Received]:
        """Take received messages, oldest first; callable from any one thread."""
        taken: list[Received] = []
        buffer = self._buffer
        while buffer and len(taken) < limit:
            taken.append(buffer.popleft())
        return taken

    async def consume(self, connection: Connection) -> None:
        """Subscribe, and stay until the channel closes or the broker ends the subscription."""
        opened = await open_channel(connection)
        was_subscribed = False
        try:
            channel = await opened.get_underlay_channel()
            await self._subscribe(channel)
            was_subscribed = True
            await self._stay(channel)
        finally:
            self._reset()
            if not await close_channel(opened) and was_subscribed:
                # Its messages are still in hand there: only the end of the connection gives them back.
                await close_connection(connection)

    def give_up(self, epoch: int) -> None:
        """End the subscription of an epoch as if the broker had ended it; not a later one."""
        if epoch == self.epoch:
            self._cancelled.set()

    def settle(self, epoch: int, tags: Collection[int]) -> None:
        """Note that these messages are done with; sent soon after. Stale ones are ignored."""
        if epoch == self.epoch and self._channel is not None:
            self._settled.update(tags)
            self._settling.set()

    async def flush(self) -> None:
        """Return when the broker has seen what was settled."""
        if self._channel is not None:
            await self._send_acknowledgements()
            # The broker answers on a channel in order, so its answer to this comes after the acks. Shielded,
            # because the client closes the channel of a call that is cancelled.
            await asyncio.shield(self._channel.basic_qos(prefetch_count=self._prefetch))

    async def _subscribe(self, channel: AbstractChannel) -> None:
        self._cancelled.clear()
        channel.on_consumer_cancel_callbacks.add(lambda _: self._cancelled.set())
        self._channel = channel
        self.epoch = next(self._epochs)
        await channel.basic_qos(prefetch_count=self._prefetch, timeout=ANSWER_TIMEOUT_S)
        await channel.basic_consume(self.queue, self._receive, timeout=ANSWER_TIMEOUT_S)
        self.is_subscribed = True
        self.heard_at = time.monotonic()

    async def _stay(self, channel: AbstractChannel) -> None:
        workers = [
            asyncio.ensure_future(self._cancelled.wait()),
            asyncio.ensure_future(self._acknowledge_settled()),
        ]
        try:
            done, _ = await asyncio.wait([channel.closing, *workers], return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            for worker in workers:
                worker.cancel()

    def _reset(self) -> None:
        self._buffer = deque()
        self._channel = None
        self.epoch = 0
        self._unacknowledged = {}
        self._settled = set()
        self.is_subscribed = False

    async def _receive(self, message: DeliveredMessage) -> None:
        headers = message.header.properties.headers or {}
        attempts = headers.get(ATTEMPTS_HEADER, 0)
        tag = message.delivery_tag
        if tag is None or message.channel is not self._channel:
            return
        self._unacknowledged[tag] = None
        self.heard_at = time.monotonic()
        self._buffer.append(
            Received(
                tag=tag,
                epoch=self.epoch,
                attempts=attempts if isinstance(attempts, int) else 0,
                body=message.body,
                headers=_texts_of(headers),
            )
        )
        self._on_message()

    async def _acknowledge_settled(self) -> None:
        while True:
            await self._settling.wait()
            self._settling.clear()
            await self._send_acknowledgements()

    async def _send_acknowledgements(self) -> None:
        # One sender at a time: a single tag after a `multiple` that covers it would close the channel.
        async with self._sending:
            channel, settled = self._channel, self._settled
            self._settled = set()
            if channel is None:
                return
            prefix = self._settled_prefix(settled)
            for tag in prefix:
                del self._unacknowledged[tag]
            if prefix:
                await channel.basic_ack(prefix[-1], multiple=True, wait=False)
            for tag in sorted(settled.difference(prefix)):
                if self._unacknowledged.pop(tag, tag) is None:
                    await channel.basic_ack(tag, wait=False)

    def _settled_prefix(self, settled: set[int]) -> list[int]:
        prefix = []
        for tag in self._unacknowledged:
            if tag not in settled:
                break
            prefix.append(tag)
        return prefix


def _texts_of(headers: Mapping[str, Any]) -> dict[str, str]:
    """Return what a sender may have said beside the body; the broker's own headers are numbers."""
    texts = {
        name: value.decode("ascii", "replace") if isinstance(value, bytes) else value
        for name, value in headers.items()
    }
    return {
        name: text for name, text in texts.items() if isinstance(text, str) and len(text) <= LONGEST_HEADER
    }
