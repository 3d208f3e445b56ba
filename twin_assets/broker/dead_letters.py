"""The dead letter queue, for an operator: look at all of it, put some back, erase one document's.

One reader at a time, across all processes. A letter leaves the queue only after its handler returned; all
others keep their place.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from types import TracebackType
from typing import Any, Self, TypeVar

from aio_pika import Connection
from aiormq.abc import AbstractChannel, DeliveredMessage
from aiormq.exceptions import ChannelLockedResource
from pydantic import ValidationError
from yarl import URL

from twin_assets.broker.codec import LONGEST_LETTER_BODY, decode_dead_letter
from twin_assets.broker.connection import (
    close_connection,
    open_channel,
    open_connection,
    parse_url,
    redact,
    translate_errors,
)
from twin_assets.broker.io_thread import IoThread
from twin_assets.broker.topology import DEAD_QUEUE, QueueState, find_queues
from twin_assets.errors import BrokerUnavailable, MalformedMessage
from twin_assets.models.change import Change, DeadLetter

CALL_TIMEOUT_S = 60.0
TURN_TIMEOUT_S = 15.0
TURN_PAUSE_S = 0.05
# Exclusive to its connection and gone with it: a lock that no crash leaves behind.
LOCK_QUEUE = "twin.dead.reader"

T = TypeVar("T")


@dataclass(frozen=True)
class StoredLetter:
    """A letter in the queue. `number` is its place from 1, the same until an earlier one is taken.

    `id` names it for good.
    """

    number: int
    id: str
    letter: DeadLetter


class DeadLetters:
    """Reads the dead letters. Raises BrokerUnavailable, also where another reader does not finish."""

    def __init__(self, url: str) -> None:
        self._url = parse_url(url)
        self._io: IoThread | None = None

    def __enter__(self) -> Self:
        self._io = IoThread("twin dead letters", where=redact(self._url))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the thread; safe to repeat."""
        io, self._io = self._io, None
        if io is not None:
            io.close()

    def count(self) -> int:
        """Return how many letters wait; those in another reader's hands are not counted."""
        state = self._run(_look(self._url))
        return state.ready if state else 0

    def peek(self, limit: int = 100) -> list[StoredLetter]:
        """Return the oldest letters, oldest first, and leave all where they are."""
        with self._reading() as reader:
            return [stored for stored, _ in islice(reader.letters(), limit)]

    def take(
        self, selects: Callable[[StoredLetter], bool], handler: Callable[[DeadLetter], None]
    ) -> list[DeadLetter]:
        """Hand each selected letter to `handler`, then remove it; return those removed.

        Letters that arrive meanwhile are left alone. Whatever `handler` raises ends it: that letter stays.
        """
        taken = []
        with self._reading() as reader:
            for stored, tag in reader.letters():
                if selects(stored):
                    handler(stored.letter)
                    reader.remove(tag)
                    taken.append(stored.letter)
        return taken

    def replay(
        self, selects: Callable[[StoredLetter], bool], publish: Callable[[list[Change]], object]
    ) -> list[DeadLetter]:
        """Publish a forced change for each selected letter, then remove it; return those removed.

        A letter that names no document cannot be replayed and stays.
        """
        return self.take(
            lambda stored: change_of(stored.letter) is not None and selects(stored),
            lambda letter: _ignore(publish([change for change in [change_of(letter)] if change])),
        )

    def purge(self, key: str) -> int:
        """Remove every letter of the document `type/entry`; return how many there were."""
        return len(self.take(lambda stored: stored.letter.key == key, _ignore))

    def _run(self, work: Coroutine[Any, Any, T]) -> T:
        if self._io is None:
            work.close()
            raise BrokerUnavailable(redact(self._url), "the dead letters are not open")
        return self._io.run(work, timeout_s=CALL_TIMEOUT_S)

    @contextmanager
    def _reading(self) -> Iterator[_Reader]:
        reader = _Reader(self._url, self._run)
        try:
            self._run(reader.open())
            yield reader
        finally:
            self._run(reader.close())


class _Reader:
    def __init__(self, url: URL, run: Callable[[Coroutine[Any, Any, Any]], Any]) -> None:
        self._url = url
        self._run = run
        self._connection: Connection | None = None
        self._channel: AbstractChannel | None = None

    async def open(self) -> None:
        self._connection = await open_connection(self._url, name="twin dead letters")
        with translate_errors(self._url):
            await self._lock(self._connection)
            if DEAD_QUEUE in await find_queues(self._connection, [DEAD_QUEUE]):
                channel = await open_channel(self._connection)
                self._channel = await channel.get_underlay_channel()

    async def close(self) -> None:
        if self._connection is not None:
            await close_connection(self._connection)

    def letters(self) -> Iterator[tuple[StoredLetter, int]]:
        """Yield what was there at the first step: one that comes back makes no endless loop."""
        if self._channel is None:
            return
        number, remaining = 1, 1
        while remaining and (message := self._run(self._get(self._channel))) is not None:
            if number == 1:
                remaining = 1 + (message.message_count or 0)
            yield _stored(number, message), message.delivery_tag
            number, remaining = number + 1, remaining - 1

    def remove(self, tag: int) -> None:
        self._run(self._remove(tag))

    async def _get(self, channel: AbstractChannel) -> DeliveredMessage | None:
        with translate_errors(self._url):
            message = await channel.basic_get(DEAD_QUEUE)
        return None if message.delivery_tag is None else message

    async def _remove(self, tag: int) -> None:
        if self._channel is not None:
            with translate_errors(self._url):
                await self._channel.basic_ack(tag)

    async def _lock(self, connection: Connection) -> None:
        try:
            async with asyncio.timeout(TURN_TIMEOUT_S):
                while not await _try_lock(connection):
                    await asyncio.sleep(TURN_PAUSE_S)
        except TimeoutError:
            raise BrokerUnavailable(
                redact(self._url), "another process is reading the dead letters; try again later"
            ) from None


def change_of(letter: DeadLetter) -> Change | None:
    """Return the forced change that makes the stream look again, or None where no document is named."""
    if letter.type is None or letter.entry is None:
        return None
    try:
        return Change(type=letter.type, entry=letter.entry, revision=letter.revision, force=True)
    except ValidationError:
        return None


async def _try_lock(connection: Connection) -> bool:
    channel = await open_channel(connection)
    try:
        await channel.declare_queue(LOCK_QUEUE, exclusive=True)
    except ChannelLockedResource:
        return False
    return True


async def _look(url: URL) -> QueueState | None:
    connection = await open_connection(url, name="twin dead letters")
    try:
        with translate_errors(url):
            return (await find_queues(connection, [DEAD_QUEUE])).get(DEAD_QUEUE)
    finally:
        await close_connection(connection)


def _stored(number: int, message: DeliveredMessage) -> StoredLetter:
    properties = message.header.properties
    try:
        letter = decode_dead_letter(message.body)
    except MalformedMessage as error:
        letter = DeadLetter(
            stage="reading the dead letters",
            reason=str(error),
            at=properties.timestamp or datetime.fromtimestamp(0, UTC),
            body=message.body[:LONGEST_LETTER_BODY],
        )
    return StoredLetter(number=number, id=properties.message_id or "", letter=letter)


def _ignore(_: object) -> None:
    return None
