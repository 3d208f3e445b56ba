"""Keeps queues subscribed for ever: connects, subscribes each queue, and starts over when either is lost.

Everything runs on the I/O thread, but for the properties.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from aio_pika import Connection
from yarl import URL

from twin_assets.broker.backoff import growing_pauses
from twin_assets.broker.connection import close_connection, open_connection, translate_errors, wire_of
from twin_assets.broker.queue_link import QueueLink
from twin_assets.broker.topology import check_not_more, find_queues
from twin_assets.errors import BrokerUnavailable, ConfigurationError, TwinError

# A queue that capture is about to declare is looked for this often.
LONGEST_QUEUE_PAUSE_S = 1.0
# Where a quorum queue is deleted and made anew, the broker may not tell its consumer, or may leave it with a
# subscription through which nothing comes. Every queue gets a marker every few seconds, so silence tells.
LOOK_PAUSE_S = 5.0
SILENCE_S = 20.0
CANCEL_AGAIN_S = 1.0


class LinkKeeper:
    """One connection for all links. `on_attempt` is told of each attempt: None where it has connected."""

    def __init__(
        self,
        url: URL,
        *,
        queues: int,
        links: Sequence[QueueLink],
        on_attempt: Callable[[TwinError | None], None],
    ) -> None:
        self._url = url
        self._queues = queues
        self._links = links
        self._on_attempt = on_attempt
        self._last_error = ""
        self.unreachable = ""

    @property
    def is_connected(self) -> bool:
        """Whether every queue is subscribed."""
        return all(link.is_subscribed for link in self._links)

    @property
    def last_error(self) -> str:
        """What stands in the way of a subscription; empty where nothing does."""
        return "" if self.is_connected else self._last_error

    async def run(self) -> None:
        """Go on until cancelled; then close the connection in order."""
        pauses = growing_pauses()
        while True:
            try:
                with translate_errors(self._url):
                    await self._connect_once()
                pauses = growing_pauses()
                self._last_error = self.unreachable = "the connection to RabbitMQ was lost"
            except (BrokerUnavailable, ConfigurationError) as error:
                self._last_error = self.unreachable = str(error)
                self._on_attempt(error)
            await asyncio.sleep(next(pauses))

    async def flush(self) -> None:
        """Return when the broker has seen every acknowledgement."""
        with translate_errors(self._url):
            for link in self._links:
                await link.flush()

    async def _connect_once(self) -> None:
        connection = await open_connection(self._url, name="twin consumer")
        try:
            await check_not_more(connection, self._queues)
            self.unreachable = ""
            self._on_attempt(None)
            await self._consume(connection)
        finally:
            await close_connection(connection)

    async def _consume(self, connection: Connection) -> None:
        closing = wire_of(connection).closing
        tasks = [asyncio.ensure_future(self._keep_subscribed(connection, link)) for link in self._links]
        tasks.append(asyncio.ensure_future(self._look_for_the_lost(connection)))
        try:
            await asyncio.wait([closing, *tasks], return_when=asyncio.FIRST_COMPLETED)
            for task in tasks:
                if task.done():
                    task.result()
        finally:
            await _end(tasks)

    async def _look_for_the_lost(self, connection: Connection) -> None:
        """Have links subscribe again whose queue knows of no consumer, is gone, or alone is silent.

        Of a quorum queue whose leader is busy for a quarter of a second the broker says that it has no
        consumer, so that two looks must agree.
        """
        unknown: set[tuple[str, int]] = set()
        while True:
            await asyncio.sleep(LOOK_PAUSE_S)
            newest = max((link.heard_at for link in self._links), default=0.0)
            for link in self._links:
                if link.is_waiting and newest - link.heard_at > SILENCE_S:
                    link.give_up(link.epoch)
            subscribed = {link.queue: (link, link.epoch) for link in self._links if link.is_subscribed}
            try:
                with translate_errors(self._url):
                    found = await find_queues(connection, list(subscribed))
            except (BrokerUnavailable, ConfigurationError):
                continue  # whether the connection is lost, its own end tells; what is in hand stays in hand
            before, unknown = unknown, set()
            for queue, (link, epoch) in subscribed.items():
                if queue in found and found[queue].consumers == 0:
                    unknown.add((queue, epoch))
                if queue not in found or (queue, epoch) in before & unknown:
                    link.give_up(epoch)

    async def _keep_subscribed(self, connection: Connection, link: QueueLink) -> None:
        pauses = growing_pauses(LONGEST_QUEUE_PAUSE_S)
        closing = wire_of(connection).closing
        while not closing.done():
            try:
                with translate_errors(self._url):
                    await link.consume(connection)
                pauses = growing_pauses(LONGEST_QUEUE_PAUSE_S)
            except (BrokerUnavailable, ConfigurationError) as error:
                self._last_error = f"{link.queue}: {error}"
            await asyncio.sleep(next(pauses))


async def _end(tasks: Sequence[asyncio.Future[None]]) -> None:
    """Cancel tasks until they have ended: the client may swallow a cancellation while it closes a channel."""
    pending = set(tasks)
    while pending:
        for task in pending:
            task.cancel()
        _, pending = await asyncio.wait(pending, timeout=CANCEL_AGAIN_S)
    await asyncio.gather(*tasks, return_exceptions=True)
