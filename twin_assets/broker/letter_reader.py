"""One reading of the dead letter queue: a turn, a channel, and the letters in it, oldest first."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from aio_pika import Connection
from aiormq.abc import AbstractChannel, DeliveredMessage
from aiormq.exceptions import ChannelLockedResource
from yarl import URL

from twin_assets.broker.codec import LONGEST_LETTER_BODY, decode_dead_letter
from twin_assets.broker.connection import (
    close_connection,
    open_channel,
    open_connection,
    redact,
    translate_errors,
)
from twin_assets.broker.topology import DEAD_QUEUE, find_queues
from twin_assets.errors import BrokerStalled, MalformedMessage
from twin_assets.models.change import DeadLetter

TURN_TIMEOUT_S = 15.0
TURN_PAUSE_S = 0.05
# Exclusive to its connection and gone with it: a lock that no crash leaves behind.
LOCK_QUEUE = "twin.dead.reader"


@dataclass(frozen=True)
class StoredLetter:
    """A letter in the queue. `number` is its place from 1, the same until an earlier one is taken.

    `id` names it for good.
    """

    number: int
    id: str
    letter: DeadLetter


class LetterReader:
    """Takes letters in hand one by one; those not removed are back in their place after `close`."""

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
        """Wait for our turn, without breaking off a request: the client may miss that, and wait for ever."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + TURN_TIMEOUT_S
        while not await _try_lock(connection):
            if loop.time() >= deadline:
                raise BrokerStalled(
                    redact(self._url), "another process is reading the dead letters; try again later"
                )
            await asyncio.sleep(TURN_PAUSE_S)


async def _try_lock(connection: Connection) -> bool:
    channel = await open_channel(connection)
    try:
        await channel.declare_queue(LOCK_QUEUE, exclusive=True)
    except ChannelLockedResource:
        return False
    return True


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
