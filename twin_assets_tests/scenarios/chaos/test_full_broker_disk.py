"""RabbitMQ has little disk left and blocks its publishers: capture waits, and room is all that it takes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from twin_assets.models.kinds import DataType
from twin_assets.stack.rabbitmq import RabbitServer
from twin_assets_tests.scenarios.chaos.outage import Listener, waits_said
from twin_assets_tests.scenarios.chaos.small_disk import fill, small_disk
from twin_assets_tests.scenarios.documents import post, words
from twin_assets_tests.scenarios.own_servers import own_broker, served

pytestmark = [pytest.mark.servers, pytest.mark.slow, pytest.mark.chaos, pytest.mark.nightly]

DISK_MIB = 160
# RabbitMQ's own limit is 50 MB.
REST_MIB = 30
SOME_TRIES = 4


@pytest.fixture
def broker(server_binaries: dict[str, Path], tmp_path: Path) -> Iterator[RabbitServer]:
    state = tmp_path / "small"
    epmd, server = own_broker(state, vhosts=["/"])
    with small_disk(state, DISK_MIB), served(epmd, server):
        yield server


@pytest.fixture
def rabbitmq_url(broker: RabbitServer) -> str:
    return broker.url


@pytest.mark.usefixtures("short_confirms")
def test_a_full_disk_of_rabbitmq_is_waited_for_and_room_is_all_that_it_takes(
    twin, broker, documents, capturing, streaming, tally, chunk_texts, caplog
):
    capture = Listener()
    with capturing(report=capture), streaming():
        documents.posts.insert_many([post(number, f"old {number}") for number in range(20)])
        tally.in_step()
        capture.hear_anew(caplog)
        filler = fill(broker.folder.parent, but_mib=REST_MIB)
        tally.fault()
        capture.await_wait("RabbitMQ")
        documents.posts.replace_one({"_id": 1}, post(1, words(40, prefix="new")))
        documents.posts.delete_one({"_id": 2})
        documents.posts.insert_one(post(99, "born on a full disk"))
        capture.await_wait("RabbitMQ", times=SOME_TRIES)
        assert capture.waiting_for == "RabbitMQ"
        assert chunk_texts(DataType.POSTS, "int:1") == ["old 1"]
        assert waits_said(caplog) == 1
        filler.unlink()
        tally.settle()
    assert chunk_texts(DataType.POSTS, "int:99") == ["born on a full disk"]
    assert twin.dead_letters.count() == 0
