"""Ways in which a capture's position becomes worthless, on real servers."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any

import aio_pika
from aio_pika.abc import AbstractChannel

from twin_assets.broker.topology import queue_names
from twin_assets.operations.twin import Twin
from twin_assets.settings import Settings
from twin_assets.source.client import timestamp_revision
from twin_assets.stack.process import Launch
from twin_assets.stack.servers import MongoServer
from twin_assets_tests.scenarios.documents import post
from twin_assets_tests.waiting import wait_until

TOOLS = Path(sys.prefix) / "tools"
NOISE = "x" * 100_000


class SmallOplogServer(MongoServer):
    """A mongod whose oplog holds 1 MB, cut off once a second."""

    def launch(self) -> Launch:
        found = super().launch()
        command = list(found.command)
        command[command.index("--oplogSize") + 1] = "1"
        return replace(found, command=[*command, "--syncdelay", "1"])


def roll_oplog(twin: Twin) -> None:
    """Write elsewhere until the oplog holds nothing that has been there until now."""
    client, now, turns = twin.source.client, twin.source.now(), count()

    def is_gone() -> bool:
        noise = {"_id": 1, "turn": next(turns), "text": NOISE}  # to write the same again would log nothing
        client["noise"]["noise"].replace_one({"_id": 1}, noise, upsert=True)
        oldest: Any = client["local"]["oplog.rs"].find_one(sort=[("$natural", 1)])
        return timestamp_revision(oldest["ts"]) > now

    wait_until(is_gone, what="the oplog rolls over", limit_s=120)


def publish_all_changes(twin: Twin, capturing: Any) -> None:
    """Run a capture until everything that was committed so far waits in the queues."""
    target = twin.source.now()
    with capturing():
        wait_until(
            lambda: (position := twin.meta.load_position()) and position.revision >= target,
            what="the position is saved behind the last write",
            limit_s=60,
        )


def drop_database(twin: Twin) -> None:
    twin.source.client.drop_database(twin.settings.mongodb_database)


def drop_posts(twin: Twin) -> None:
    _database(twin).posts.drop()


def rename_posts_away(twin: Twin) -> None:
    _database(twin).posts.rename("old_posts")


def rename_others_onto_posts(twin: Twin) -> None:
    _database(twin).staging.insert_many([post(number, f"staged {number}") for number in (2, 20, 21)])
    _database(twin).staging.rename("posts", dropTarget=True)


def delete_queues(twin: Twin) -> None:
    settings = twin.settings
    _with_channel(settings, queue_names(settings.rabbitmq_queues), _delete)


def empty_queues(twin: Twin) -> None:
    """Take every waiting message away; the queues stay."""
    settings = twin.settings
    _with_channel(settings, queue_names(settings.rabbitmq_queues), _purge)


def delete_one_queue(twin: Twin) -> None:
    _with_channel(twin.settings, queue_names(1), _delete)


EVENTS: dict[str, Callable[[Twin], None]] = {
    "database dropped": drop_database,
    "collection dropped": drop_posts,
    "collection renamed": rename_posts_away,
    "another renamed onto it": rename_others_onto_posts,
}
QUEUES: dict[str, Callable[[Twin], None]] = {
    "all queues deleted": delete_queues,
    "one queue deleted": delete_one_queue,
}


def _database(twin: Twin) -> Any:
    return twin.source.client[twin.settings.mongodb_database]


async def _delete(channel: AbstractChannel, name: str) -> None:
    await channel.queue_delete(name)


async def _purge(channel: AbstractChannel, name: str) -> None:
    await (await channel.get_queue(name)).purge()


def _with_channel(
    settings: Settings, names: Iterable[str], act: Callable[[AbstractChannel, str], Awaitable[None]]
) -> None:
    async def act_on_all() -> None:
        async with await aio_pika.connect(settings.require_url("rabbitmq_url")) as connection:
            channel = await connection.channel()
            for name in names:
                await act(channel, name)

    asyncio.run(act_on_all())
