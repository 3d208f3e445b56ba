from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import threading
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import aio_pika
import psutil
import pytest
from pymongo import MongoClient

from twin_assets.errors import StackError
from twin_assets.settings import STACK_FILE, Settings, load_settings
from twin_assets.stack.lock import FileLock
from twin_assets.stack.ports import LOOPBACK
from twin_assets.stack.stack import LocalStack
from twin_assets_tests.free_ports import free_port
from twin_assets_tests.waiting import is_gone, wait_until

pytestmark = pytest.mark.servers
FOREIGN_BROKER = "amqp://somebody:secret@192.0.2.1:5672/"
PORTS = (
    "local_mongodb_port",
    "local_rabbitmq_port",
    "local_rabbitmq_dist_port",
    "local_epmd_port",
    "local_qdrant_port",
    "local_qdrant_grpc_port",
    "local_dagster_port",
)


@pytest.fixture(autouse=True)
def _only_our_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, server_binaries: object) -> None:
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith("TWIN_")]:
        monkeypatch.delenv(name)


@pytest.fixture
def make_settings(tmp_path: Path) -> Iterator[Callable[..., Settings]]:
    """Settings of a state directory with ports of its own; whatever runs there is stopped at the end."""
    ports: dict[str, dict[str, int]] = {}

    def make(state: str = "a", **overrides: Any) -> Settings:
        own = ports.setdefault(state, {port: free_port() for port in PORTS})
        return load_settings(**{"state_dir": tmp_path / state, **own, **overrides})

    yield make
    for state in ports:
        LocalStack(make(state)).down()


def _pid(stack: LocalStack, name: str) -> int:
    pid = {status.name: status.pid for status in stack.status()}[name]
    assert pid is not None
    return pid


def _kill(pid: int) -> None:
    process = psutil.Process(pid)
    process.kill()
    wait_until(lambda: is_gone(process), what="death by SIGKILL")


QUORUM = {"x-queue-type": "quorum"}


async def _publish(url: str, body: bytes) -> None:
    connection = await aio_pika.connect(url)
    async with connection:
        channel = await connection.channel()
        await channel.declare_queue("kept", durable=True, arguments=QUORUM)
        message = aio_pika.Message(body, delivery_mode=aio_pika.DeliveryMode.PERSISTENT)
        await channel.default_exchange.publish(message, "kept")


async def _take(url: str) -> bytes:
    """Take the first message; a count would lie just after a restart."""
    connection = await aio_pika.connect(url)
    async with connection:
        channel = await connection.channel()
        queue = await channel.declare_queue("kept", durable=True, arguments=QUORUM)
        async with queue.iterator(timeout=30) as messages:
            async for message in messages:
                await message.ack()
                return message.body
    raise AssertionError("no message")


def _await_registration(folder: Path) -> None:
    """A quorum queue younger than half a second is lost with a killed broker: its name is not on disk yet."""
    names = next(folder.glob("mnesia/*/quorum/*/names.dets"))
    wait_until(lambda: b"kept" in names.read_bytes(), what="the queue's name on disk")


def test_two_stacks_run_side_by_side_and_stop_without_touching_each_other(
    make_settings: Callable[..., Settings],
) -> None:
    stacks = [LocalStack(make_settings(state)) for state in ("a", "b")]
    threads = [threading.Thread(target=stack.up) for stack in stacks]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for stack in stacks:
        _await_servers(stack)
    stacks[0].down()
    assert [status.pid for status in stacks[0].status()] == [None] * 4
    _await_servers(stacks[1])


def _await_servers(stack: LocalStack) -> None:
    """Wait until three of four answer, all but Dagster: a look gives each two seconds, and it may be busy."""
    servers = [True, True, True, False]
    wait_until(lambda: [status.is_ready for status in stack.status()] == servers, what="three servers answer")


@pytest.fixture
def two_server_settings(make_settings: Callable[..., Settings]) -> Settings:
    """A stack whose broker is elsewhere, since RabbitMQ takes the longest to start."""
    return make_settings(rabbitmq_url=FOREIGN_BROKER)


def test_settings_find_the_running_stack_and_forget_the_stopped_one(
    two_server_settings: Settings, tmp_path: Path
) -> None:
    stack = LocalStack(two_server_settings)
    stack.up()
    found = load_settings(state_dir=tmp_path / "a")
    with MongoClient(found.require_url("mongodb_url")) as client:
        assert client.admin.command("hello")["isWritablePrimary"]
    assert (tmp_path / "a" / STACK_FILE).stat().st_mode & 0o777 == 0o600
    stack.down()
    assert load_settings(state_dir=tmp_path / "a").mongodb_url is None


def test_server_named_by_url_is_neither_started_nor_stopped(
    two_server_settings: Settings, tmp_path: Path
) -> None:
    stack = LocalStack(two_server_settings)
    broker = {status.name: status for status in stack.up()}["rabbitmq"]
    assert not broker.is_local
    assert not (tmp_path / "a" / "rabbitmq").exists()
    assert not (tmp_path / "a" / "epmd").exists()
    assert "rabbitmq_url" not in json.loads((tmp_path / "a" / STACK_FILE).read_text())


def test_second_up_adopts_what_runs_even_where_the_first_was_killed_before_its_record(
    two_server_settings: Settings, tmp_path: Path
) -> None:
    first = LocalStack(two_server_settings)
    before = first.up()
    (tmp_path / "a" / STACK_FILE).unlink()
    wait_until(lambda: LocalStack(two_server_settings).up() == before, what="what runs, ready as before")


def test_server_found_in_its_last_moments_is_started_again(two_server_settings: Settings) -> None:
    stack = LocalStack(two_server_settings)
    before = _pid_after_up(stack)
    os.kill(before, signal.SIGKILL)
    assert _pid_after_up(stack) != before


def _pid_after_up(stack: LocalStack) -> int:
    stack.up()
    return _pid(stack, "mongodb")


def test_killed_servers_come_back_with_their_data(two_server_settings: Settings) -> None:
    stack = LocalStack(two_server_settings)
    urls = {status.name: status.url for status in stack.up()}
    with MongoClient(urls["mongodb"], w="majority", journal=True) as client:
        client["kept"]["things"].insert_one({"_id": 1})
    request = urllib.request.Request(f"{urls['qdrant']}/collections/kept", b'{"vectors": {}}', method="PUT")
    request.add_header("Content-Type", "application/json")
    urllib.request.urlopen(request).close()
    for name in ("mongodb", "qdrant"):
        _kill(_pid(stack, name))
    stack.up()
    with MongoClient(urls["mongodb"]) as client:
        assert client["kept"]["things"].count_documents({}) == 1
    with urllib.request.urlopen(f"{urls['qdrant']}/collections") as reply:
        assert json.load(reply)["result"]["collections"] == [{"name": "kept"}]


def test_killed_broker_and_port_mapper_come_back_with_their_messages(
    make_settings: Callable[..., Settings], mongodb_url: str, qdrant_url: str, tmp_path: Path
) -> None:
    stack = LocalStack(make_settings(mongodb_url=mongodb_url, qdrant_url=qdrant_url))
    url = stack.up()[1].url
    assert url is not None
    asyncio.run(_publish(url, b"kept"))
    _await_registration(tmp_path / "a" / "rabbitmq")
    _kill(_pid(stack, "rabbitmq"))
    _kill(int((tmp_path / "a" / "run" / "epmd.pid").read_text()))
    stack.up()
    assert asyncio.run(_take(url)) == b"kept"


def test_port_in_use_is_said_before_anything_is_started(
    make_settings: Callable[..., Settings], tmp_path: Path
) -> None:
    with socket.create_server((LOOPBACK, 0)) as holder:
        port = holder.getsockname()[1]
        stack = LocalStack(make_settings(rabbitmq_url=FOREIGN_BROKER, local_qdrant_grpc_port=port))
        with pytest.raises(StackError, match=f"port {port} for qdrant .*TWIN_LOCAL_QDRANT_GRPC_PORT"):
            stack.up()
    assert [status.pid for status in stack.status()] == [None] * 4
    assert not list((tmp_path / "a" / "run").glob("*.pid"))


def test_running_server_is_not_moved_to_another_port_behind_its_back(
    make_settings: Callable[..., Settings],
) -> None:
    LocalStack(make_settings(rabbitmq_url=FOREIGN_BROKER)).up()
    moved = LocalStack(make_settings(rabbitmq_url=FOREIGN_BROKER, local_mongodb_port=free_port()))
    with pytest.raises(StackError, match=r"mongodb still runs at .*twin down"):
        moved.up()


def test_stopped_mongodb_takes_its_data_to_another_port(make_settings: Callable[..., Settings]) -> None:
    first = LocalStack(make_settings(rabbitmq_url=FOREIGN_BROKER))
    with MongoClient(first.up()[0].url) as client:
        client["kept"]["things"].insert_one({"_id": 1})
    first.down()
    moved = LocalStack(make_settings(rabbitmq_url=FOREIGN_BROKER, local_mongodb_port=free_port()))
    with MongoClient(moved.up()[0].url) as client:
        assert client["kept"]["things"].count_documents({}) == 1


def test_server_that_cannot_start_takes_back_what_was_started_with_it(
    two_server_settings: Settings, tmp_path: Path
) -> None:
    broken = tmp_path / "a" / "qdrant" / "storage"
    broken.parent.mkdir(parents=True)
    broken.write_text("a file where a folder should be")
    stack = LocalStack(two_server_settings)
    with pytest.raises(StackError, match=r"qdrant ended while starting: .+ \(log: .*qdrant.log\)") as caught:
        stack.up()
    assert "\n" not in str(caught.value)
    assert [status.pid for status in stack.status()] == [None] * 4


def test_start_while_another_start_is_at_work_is_refused(
    two_server_settings: Settings, tmp_path: Path
) -> None:
    with (
        FileLock(tmp_path / "a" / "run" / "stack.lock", activity="x"),
        pytest.raises(StackError, match=f"another start or stop works on .*pid {os.getpid()}"),
    ):
        LocalStack(two_server_settings).up()


def test_down_without_up_is_harmless(two_server_settings: Settings) -> None:
    LocalStack(two_server_settings).down()


def test_holder_brings_a_killed_server_back_and_ends_when_another_stops_the_stack(
    two_server_settings: Settings,
) -> None:
    lines: list[str] = []
    stack = LocalStack(two_server_settings, report=lines.append)
    stack.up()
    holder = threading.Thread(target=stack.hold)
    holder.start()
    _kill(_pid(stack, "qdrant"))
    other = LocalStack(two_server_settings)
    wait_until(lambda: other.status()[2].is_ready, what="qdrant brought back")
    assert "qdrant: ended, starting it again" in lines
    other.down()
    holder.join(timeout=30)
    assert not holder.is_alive()
    assert [status.pid for status in other.status()] == [None] * 4
