"""The queues: N for changes, each document always in the same one, and one for dead letters."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import blake2b

from aio_pika import Connection
from aio_pika.exceptions import ChannelNotFoundEntity, ChannelPreconditionFailed
from pamqp.common import FieldTable

from twin_assets.broker.connection import broker_version, open_channel
from twin_assets.errors import ConfigurationError

DEAD_QUEUE = "twin.dead"
ANSWER_TIMEOUT_S = 20.0
CHANGES_QUEUE: FieldTable = {"x-queue-type": "quorum", "x-single-active-consumer": True}
# RabbitMQ 4 drops a message at its 20th redelivery, unless told -1; RabbitMQ 3 takes -1 as "below any
# count" and drops every message at its first.
FIRST_VERSION_WITH_LIMIT = (4,)
NO_DELIVERY_LIMIT: FieldTable = {"x-delivery-limit": -1}
# Classic, not quorum: letters are read and put back often, which a quorum queue counts and reorders.
DEAD_LETTER_QUEUE: FieldTable = {"x-queue-type": "classic"}


@dataclass(frozen=True)
class QueueState:
    """What the broker says of a queue; just after its restart `ready` may be too low."""

    ready: int
    consumers: int


def queue_name(index: int) -> str:
    """Return the name of a change queue."""
    return f"twin.changes.{index}"


def queue_names(queues: int) -> list[str]:
    """Return the names of all change queues, in order."""
    return [queue_name(index) for index in range(queues)]


def queue_index(key: str, queues: int) -> int:
    """Return the queue of the document `type/entry`: the same on every machine, for ever."""
    digest = blake2b(key.encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest) % queues


def arguments_for(version: tuple[int, ...]) -> FieldTable:
    """Return how a change queue is declared on this version of RabbitMQ."""
    return CHANGES_QUEUE | NO_DELIVERY_LIMIT if version >= FIRST_VERSION_WITH_LIMIT else CHANGES_QUEUE


async def find_queues(connection: Connection, names: Iterable[str]) -> dict[str, QueueState]:
    """Return those of the named queues that exist, without changing anything."""
    found = {}
    channel = await open_channel(connection)
    for name in names:
        try:
            queue = await channel.declare_queue(name, passive=True, timeout=ANSWER_TIMEOUT_S)
        except ChannelNotFoundEntity as error:
            if "no queue" not in str(error):
                raise
            channel = await open_channel(connection)  # the refusal has closed the other one
        else:
            result = queue.declaration_result
            found[name] = QueueState(ready=result.message_count or 0, consumers=result.consumer_count or 0)
    await channel.close()
    return found


async def find_missing(connection: Connection, queues: int) -> list[str]:
    """Return the names of our queues that do not exist."""
    names = [*queue_names(queues), DEAD_QUEUE]
    found = await find_queues(connection, names)
    return [name for name in names if name not in found]


async def check_not_more(connection: Connection, queues: int) -> None:
    """Raise ConfigurationError where a queue beyond N exists: documents would be looked for in vain."""
    beyond = queue_name(queues)
    if beyond in await find_queues(connection, [beyond]):
        raise ConfigurationError(
            f"the queue {beyond} exists, so TWIN_RABBITMQ_QUEUES was more; {_migrate(queues)}"
        )


async def check_not_fewer(connection: Connection, queues: int) -> None:
    """Raise ConfigurationError where exactly the first k < N queues exist: N was k."""
    missing = set(await find_missing(connection, queues))
    there = [name not in missing for name in queue_names(queues)]
    count = sum(there)
    if 0 < count < queues and all(there[:count]):
        raise ConfigurationError(
            f"only {queue_name(0)} to {queue_name(count - 1)} exist, so TWIN_RABBITMQ_QUEUES was {count}; "
            f"{_migrate(queues)}"
        )


async def declare(connection: Connection, queues: int) -> list[str]:
    """Create what is missing and return its names; safe to repeat. Raises ConfigurationError (see above)."""
    await check_not_more(connection, queues)
    missing = await find_missing(connection, queues)
    arguments = arguments_for(broker_version(connection))
    try:
        await declare_dead(connection)
        channel = await open_channel(connection)
        # Downwards: if this is cut short, what exists does not look like a smaller N.
        for name in reversed(queue_names(queues)):
            await channel.declare_queue(name, durable=True, arguments=arguments, timeout=ANSWER_TIMEOUT_S)
        await channel.close()
    except ChannelPreconditionFailed as error:
        raise ConfigurationError(
            f"a queue exists with other arguments ({error}); let the stream drain it, delete it, start again"
        ) from error
    return missing


async def declare_dead(connection: Connection) -> None:
    """Create the queue of dead letters where it is missing."""
    channel = await open_channel(connection)
    await channel.declare_queue(
        DEAD_QUEUE, durable=True, arguments=DEAD_LETTER_QUEUE, timeout=ANSWER_TIMEOUT_S
    )
    await channel.close()


def _migrate(queues: int) -> str:
    return (
        "set it back, or migrate: stop capture and stream, delete the queues twin.changes.* and the document "
        f"`queues` of the collection `queues` in the database ending with _meta, then start with {queues}: "
        "everything is published anew"
    )
