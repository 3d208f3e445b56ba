from __future__ import annotations

import asyncio
import urllib.request
from collections.abc import Callable

import aio_pika
import pytest
from pymongo import MongoClient

from twin_assets_tests.conftest import VHOSTS_AT_ONCE


@pytest.mark.servers
def test_mongodb_is_a_writable_replica_set(mongodb_url: str) -> None:
    with MongoClient(mongodb_url) as client:
        assert client.admin.command("hello")["setName"] == "rs0"
        with client["stack_test"]["things"].watch() as changes:
            client["stack_test"]["things"].insert_one({"_id": 1})
            assert next(changes)["documentKey"] == {"_id": 1}


@pytest.mark.servers
def test_qdrant_answers(qdrant_url: str) -> None:
    with urllib.request.urlopen(qdrant_url) as reply:
        assert b"1.16" in reply.read()


async def _declare(url: str) -> int | None:
    connection = await aio_pika.connect(url)
    async with connection:
        channel = await connection.channel()
        queue = await channel.declare_queue("mine", durable=True, arguments={"x-queue-type": "quorum"})
        count = queue.declaration_result.message_count
        await channel.default_exchange.publish(aio_pika.Message(b"x"), "mine")
        return count


@pytest.mark.servers
@pytest.mark.parametrize("attempt", [1, 2])
def test_each_test_has_a_virtual_host_of_its_own(rabbitmq_url: str, attempt: int) -> None:
    assert asyncio.run(_declare(rabbitmq_url)) == 0


@pytest.mark.servers
def test_virtual_hosts_do_not_run_out(next_vhost: Callable[[], str]) -> None:
    urls = [next_vhost() for _ in range(VHOSTS_AT_ONCE + 1)]
    assert len(set(urls)) == len(urls)
    assert asyncio.run(_declare(urls[-1])) == 0
