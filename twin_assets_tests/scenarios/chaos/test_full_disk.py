"""Qdrant's disk is full: the stream waits, readers read on, and room is all that it takes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from twin_assets.faults import FaultPoint
from twin_assets.models.kinds import DataType
from twin_assets.stack.process import Launch
from twin_assets.stack.servers import QdrantServer
from twin_assets_tests.free_ports import free_port
from twin_assets_tests.scenarios.chaos.outage import LIMIT_S, Listener, counted_points, waits_said
from twin_assets_tests.scenarios.chaos.small_disk import fill, small_disk
from twin_assets_tests.scenarios.documents import post, words
from twin_assets_tests.scenarios.own_servers import TOOLS, served
from twin_assets_tests.waiting import wait_until

pytestmark = [pytest.mark.servers, pytest.mark.slow, pytest.mark.chaos]

# Six empty collections take 150 MB and more even so, and grow by pages of many MB.
DISK_MIB = 600
SOME_TRIES = 4
REFUSED = "No space left on device"


class SmallQdrant(QdrantServer):
    """Its write-ahead logs take a megabyte each, not 32."""

    def launch(self) -> Launch:
        launch = super().launch()
        small = {"QDRANT__STORAGE__WAL__WAL_CAPACITY_MB": "1"}
        return replace(launch, environment={**launch.environment, **small})


@pytest.fixture
def qdrant(server_binaries: dict[str, Path], tmp_path: Path) -> Iterator[SmallQdrant]:
    state = tmp_path / "small"
    server = SmallQdrant(state, port=free_port(), grpc_port=free_port(), tools=TOOLS)
    with small_disk(state, DISK_MIB), served(server):
        yield server


@pytest.fixture
def qdrant_url(qdrant: SmallQdrant) -> str:
    return qdrant.url


def test_a_full_disk_of_qdrant_is_waited_for_and_room_is_all_that_it_takes(
    twin, qdrant, documents, capturing, streaming, tally, chunk_texts, caplog
):
    stream = Listener()

    def refusals() -> int:
        return qdrant.process.log_file.read_text(errors="replace").count(REFUSED)

    with capturing(), streaming(report=stream), counted_points() as reached:
        documents.posts.insert_many([post(number, f"old {number}") for number in range(20)])
        tally.in_step()
        filler = fill(qdrant.folder.parent)
        tally.fault()
        documents.posts.replace_one({"_id": 1}, post(1, words(40, prefix="new")))
        documents.posts.delete_one({"_id": 2})
        documents.posts.insert_one(post(99, "born on a full disk"))
        stream.await_wait("Qdrant")
        acknowledged, refused = reached[FaultPoint.ACKNOWLEDGED], refusals()
        wait_until(lambda: refusals() >= refused + SOME_TRIES, what="the stream tries again", limit_s=LIMIT_S)
        assert reached[FaultPoint.ACKNOWLEDGED] == acknowledged
        assert chunk_texts(DataType.POSTS, "int:1") == ["old 1"]
        assert stream.waiting_for == "Qdrant"
        assert waits_said(caplog) == 1
        filler.unlink()
        tally.settle()
    assert chunk_texts(DataType.POSTS, "int:99") == ["born on a full disk"]
    assert twin.dead_letters.count() == 0
