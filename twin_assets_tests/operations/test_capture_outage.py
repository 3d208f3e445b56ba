"""Capture while MongoDB dies, and behind an oplog that has rolled over."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from twin_assets.settings import Settings
from twin_assets.source.client import Client, connect, timestamp_revision
from twin_assets.source.documents import DocumentSource
from twin_assets.source.meta import MetaStore
from twin_assets.stack.process import Launch
from twin_assets.stack.servers import MongoServer
from twin_assets_tests.free_ports import free_port
from twin_assets_tests.operations.capturing import Capturing, MemoryPublisher, MemoryTwin
from twin_assets_tests.source.builders import post
from twin_assets_tests.waiting import wait_until

pytestmark = pytest.mark.servers

FILLER = "x" * 4_000_000


class SmallOplogServer(MongoServer):
    """Remembers about a megabyte of changes."""

    def launch(self) -> Launch:
        launch = super().launch()
        command = list(launch.command)
        command[command.index("--oplogSize") + 1] = "1"
        # What no checkpoint holds yet is never truncated, and by default there is one a minute.
        return replace(launch, command=[*command, "--syncdelay", "1"])


@pytest.fixture
def server(server_binaries: dict[str, Path], tmp_path: Path) -> Iterator[SmallOplogServer]:
    own = SmallOplogServer(tmp_path, port=free_port(), tools=Path(sys.prefix) / "tools")
    own.start()
    own.await_ready()
    yield own
    own.stop()


@pytest.fixture
def client(server: SmallOplogServer) -> Iterator[Client]:
    with connect(server.url, timeout_s=5) as opened:
        yield opened


@pytest.fixture
def twin(client: Client) -> MemoryTwin:
    settings = Settings(mongodb_database="twin", rabbitmq_queues=2, marker_interval_s=0.3)
    return MemoryTwin(
        settings,
        source=DocumentSource(client, "twin"),
        meta=MetaStore(client, settings.meta_database),
        publisher=MemoryPublisher(2),
    )


def test_a_mongodb_that_is_killed_is_waited_for_and_nothing_is_lost(
    twin: MemoryTwin, server: SmallOplogServer, client: Client
) -> None:
    with Capturing(twin) as capturing:
        capturing.until_ready()
        client.twin.posts.insert_one(post(1))
        child = server.process.find()
        assert child is not None
        os.kill(child.pid, signal.SIGKILL)
        wait_until(lambda: capturing.progress.waiting_for == "MongoDB", what="waiting for MongoDB")
        server.start()
        server.await_ready()
        client.twin.posts.insert_one(post(2))
        capturing.until_published("posts/int:1", "posts/int:2")
        assert capturing.progress.recovered == 0


def test_an_oplog_that_has_rolled_over_is_recovered_from(twin: MemoryTwin, client: Client) -> None:
    posts = client.twin.posts
    posts.insert_many([post(1), post(2)])
    with Capturing(twin) as capturing:
        capturing.until_ready()
        posts.insert_one(post(3))
        capturing.until_published("posts/int:3")
    saved = twin.meta.load_position()
    assert saved is not None
    posts.insert_one(post(4))

    def has_rolled() -> bool:
        client.other.filler.replace_one({"_id": 1}, {"text": FILLER}, upsert=True)
        oldest = client.local["oplog.rs"].find_one(sort=[("$natural", 1)])
        return oldest is not None and timestamp_revision(oldest["ts"]) > saved.revision

    wait_until(has_rolled, what="the oplog rolled over", limit_s=90)
    published = len(twin.publisher.keys)
    with Capturing(twin) as capturing:
        wait_until(lambda: capturing.progress.recovered == 1, what="recovered", limit_s=60)
        posts.insert_one(post(5))
        capturing.until_published("posts/int:5")
    assert set(twin.publisher.keys[published:]) == {f"posts/int:{number}" for number in range(1, 6)}
