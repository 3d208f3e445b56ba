"""How much waits in the queues."""

from __future__ import annotations

from dataclasses import dataclass

from yarl import URL

from twin_assets.broker.connection import (
    close_connection,
    open_connection,
    parse_url,
    redact,
    translate_errors,
)
from twin_assets.broker.io_thread import IoThread
from twin_assets.broker.topology import DEAD_QUEUE, QueueState, find_queues, queue_names

LOOK_TIMEOUT_S = 30.0


@dataclass(frozen=True)
class QueueDepths:
    """Messages ready for delivery, those in a consumer's hands not counted.

    `ready` and `consumers` are per change queue; a missing queue counts 0 and is named in `missing`.
    """

    ready: tuple[int, ...]
    total: int
    dead: int
    consumers: tuple[int, ...]
    missing: tuple[str, ...]


def queue_depths(url: str, queues: int) -> QueueDepths:
    """Ask the broker once. Raises BrokerUnavailable, or ConfigurationError for a URL it refuses."""
    address = parse_url(url)
    io = IoThread("twin depth", where=redact(address))
    try:
        return io.run(_look(address, queues), timeout_s=LOOK_TIMEOUT_S)
    finally:
        io.close()


async def _look(url: URL, queues: int) -> QueueDepths:
    names = queue_names(queues)
    connection = await open_connection(url, name="twin depth")
    try:
        with translate_errors(url):
            found = await find_queues(connection, [*names, DEAD_QUEUE])
    finally:
        await close_connection(connection)
    states = [found.get(name, QueueState(ready=0, consumers=0)) for name in names]
    dead = found.get(DEAD_QUEUE)
    return QueueDepths(
        ready=tuple(state.ready for state in states),
        total=sum(state.ready for state in states),
        dead=dead.ready if dead else 0,
        consumers=tuple(state.consumers for state in states),
        missing=tuple(name for name in [*names, DEAD_QUEUE] if name not in found),
    )
