"""Puts messages into the queues. When a call returns, the broker has confirmed every message of it.

One connection, one window of unconfirmed messages at a time; safe to call from several threads. What a
failed call did publish stays: delivery is at least once, and the caller publishes all of it again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from itertools import islice
from types import TracebackType
from typing import Self, TypeVar

from aio_pika import Connection, DeliveryMode, Message
from aio_pika.abc import AbstractChannel
from aio_pika.exceptions import DeliveryError, PublishError

from twin_assets.broker import topology
from twin_assets.broker.codec import encode_change, encode_dead_letter, encode_marker
from twin_assets.broker.connection import (
    close_connection,
    open_channel,
    open_connection,
    parse_url,
    redact,
    translate_errors,
    wire_of,
)
from twin_assets.broker.io_thread import IoThread
from twin_assets.broker.topology import DEAD_QUEUE, queue_index, queue_name, queue_names
from twin_assets.errors import BrokerStalled, BrokerUnavailable, QueuesMissing
from twin_assets.models.change import Change, DeadLetter, Marker

CONFIRM_TIMEOUT_S = 30.0
# Connecting, waiting for the broker's alarms to end and the window itself have limits of their own.
CALL_TIMEOUT_S = 120.0
BLOCKED = "publishing is blocked by its memory or disk alarm; free some, or raise its limits"
# A broker killed within a second of creating a quorum queue may come back with a queue that has no leader.
SILENT = (
    "no confirm within {seconds:g} s by {queues}; if that lasts, delete the queue: capture makes it anew and "
    "publishes every document again"
)

T = TypeVar("T")
Headers = Mapping[str, str]
Addressed = tuple[str, bytes, Headers | None]


class ChangePublisher:
    """Publishes changes, markers and dead letters: persistent, mandatory, confirmed; in order per queue.

    `declare` creates missing queues on opening. Only capture should: a queue that another one creates anew
    hides from capture that its messages are lost. Raises ConfigurationError where another N is in use.
    """

    def __init__(
        self,
        url: str,
        *,
        queues: int,
        window: int = 500,
        declare: bool = True,
        confirm_timeout_s: float = CONFIRM_TIMEOUT_S,
    ) -> None:
        self._url = parse_url(url)
        self._queues = queues
        self._window = window
        self._declare = declare
        self._confirm_timeout_s = confirm_timeout_s
        self._connection: Connection | None = None
        self._channel: AbstractChannel | None = None
        self._io: IoThread | None = None

    def __enter__(self) -> Self:
        self._io = IoThread("twin publisher", where=redact(self._url))
        self._turn = asyncio.Lock()
        try:
            self._run(self._open)
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection, within a few seconds; safe to repeat."""
        io, self._io = self._io, None
        if io is not None:
            try:
                io.run(self._disconnect(), timeout_s=CALL_TIMEOUT_S)
            finally:
                io.close()

    def publish(self, changes: Iterable[Change], headers: Mapping[str, Headers] | None = None) -> int:
        """Publish each change to its document's queue and return how many were confirmed: all of them.

        `headers` are for some of them, by key.
        Raises BrokerUnavailable (publish all again), or QueuesMissing where a queue is gone.
        """
        count = 0
        remaining = iter(changes)
        known = headers or {}
        while batch := list(islice(remaining, self._window)):
            self._send([(self._queue_of(each), encode_change(each), known.get(each.key)) for each in batch])
            count += len(batch)
        return count

    def publish_marker(self, marker: Marker) -> None:
        """Publish a marker to every change queue. Raises as `publish`."""
        body = encode_marker(marker)
        self._send([(name, body, None) for name in queue_names(self._queues)])

    def publish_dead(self, letters: Sequence[DeadLetter]) -> None:
        """Publish dead letters, into a new queue where theirs is gone. Raises BrokerUnavailable."""
        for start in range(0, len(letters), self._window):
            batch = letters[start : start + self._window]
            messages = [(DEAD_QUEUE, encode_dead_letter(letter), None) for letter in batch]
            try:
                self._send(messages)
            except QueuesMissing:
                # Nothing that capture would publish anew was in it, and it may be long until capture looks.
                self._run(self._declare_dead)
                self._send(messages)

    def queues_missing(self) -> list[str]:
        """Return the names of our queues that do not exist now."""
        return self._run(self._find_missing)

    def declare_missing(self) -> list[str]:
        """Create missing queues and return their names.

        Unlike opening with `declare`, takes N as certain: k < N queues are the rest of N, not another N.
        """
        return self._run(self._declare_missing)

    def _queue_of(self, change: Change) -> str:
        return queue_name(queue_index(change.key, self._queues))

    def _run(self, work: Callable[[], Awaitable[T]]) -> T:
        if self._io is None:
            raise BrokerUnavailable(redact(self._url), "the publisher is not open")
        return self._io.run(self._in_turn(work), timeout_s=CALL_TIMEOUT_S)

    def _send(self, messages: Sequence[Addressed]) -> None:
        self._run(lambda: self._publish(messages))

    async def _in_turn(self, work: Callable[[], Awaitable[T]]) -> T:
        async with self._turn:
            try:
                with translate_errors(self._url):
                    return await work()
            except QueuesMissing:
                raise
            except BaseException:
                # Its outstanding confirms mean nothing any more.
                await self._disconnect()
                raise

    async def _open(self) -> None:
        connection = await self._connected()
        if self._declare:
            await topology.check_not_fewer(connection, self._queues)
            await topology.declare(connection, self._queues)
        else:
            await topology.check_not_more(connection, self._queues)

    async def _find_missing(self) -> list[str]:
        return await topology.find_missing(await self._connected(), self._queues)

    async def _declare_missing(self) -> list[str]:
        return await topology.declare(await self._connected(), self._queues)

    async def _declare_dead(self) -> None:
        await topology.declare_dead(await self._connected())

    async def _connected(self) -> Connection:
        if self._connection is not None and not self._connection.connected.is_set():
            await self._disconnect()
        if self._connection is None:
            self._connection = await open_connection(self._url, name="twin publisher")
        return self._connection

    async def _disconnect(self) -> None:
        connection, self._connection, self._channel = self._connection, None, None
        if connection is not None:
            await close_connection(connection)

    async def _publish(self, messages: Sequence[Addressed]) -> None:
        connection = await self._connected()
        if self._channel is None or self._channel.is_closed:
            self._channel = await open_channel(connection, confirms=True)
        channel, sends = self._channel, {}
        try:
            async with asyncio.timeout(self._confirm_timeout_s):
                await wire_of(connection).ready()
                sends = {asyncio.ensure_future(_send_one(channel, *each)): each[0] for each in messages}
                outcomes = await asyncio.gather(*sends, return_exceptions=True)
        except TimeoutError:
            silent = {name for send, name in sends.items() if send.cancelled()}
            raise await self._silence(connection, sorted(silent)) from None
        self._check([outcome for outcome in outcomes if isinstance(outcome, BaseException)])

    async def _silence(self, connection: Connection, names: Sequence[str]) -> BrokerStalled:
        reason = SILENT.format(seconds=self._confirm_timeout_s, queues=", ".join(names))
        try:
            async with asyncio.timeout(0.01):
                await wire_of(connection).ready()
        except TimeoutError:
            reason = BLOCKED
        return BrokerStalled(redact(self._url), reason)

    def _check(self, errors: Sequence[BaseException]) -> None:
        returned = [error for error in errors if isinstance(error, PublishError)]
        if returned:
            names = {str(error.message.routing_key) for error in returned if error.message}
            raise QueuesMissing(redact(self._url), names)
        for error in errors:
            if isinstance(error, DeliveryError):
                raise BrokerStalled(
                    redact(self._url), "a queue refused a message; publish it again"
                ) from error
            raise error


async def _send_one(channel: AbstractChannel, name: str, body: bytes, headers: Headers | None = None) -> None:
    message = Message(
        body,
        headers=dict(headers) if headers else None,
        delivery_mode=DeliveryMode.PERSISTENT,
        content_type="application/json",
    )
    await channel.default_exchange.publish(message, name, mandatory=True)
