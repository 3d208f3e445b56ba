"""A position that cannot be resumed: every id is published again, and deletes in the gap are found."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

from twin_assets.errors import PositionLost
from twin_assets.faults import FaultPoint, arm
from twin_assets.models.kinds import DataType
from twin_assets.operations.capture import FRUITLESS_RECOVERIES, run_capture
from twin_assets.operations.capture_progress import CaptureProgress
from twin_assets_tests.free_ports import free_port
from twin_assets_tests.scenarios.chaos.held import held_at
from twin_assets_tests.scenarios.chaos.losing import (
    EVENTS,
    QUEUES,
    TOOLS,
    SmallOplogServer,
    publish_all_changes,
    roll_oplog,
)
from twin_assets_tests.scenarios.documents import article, post, words
from twin_assets_tests.waiting import wait_until

pytestmark = [pytest.mark.servers, pytest.mark.slow, pytest.mark.chaos]

LOSSES = {"oplog rolled over": roll_oplog} | EVENTS | QUEUES
WRITES = 15


def each(*now: str, among: Iterable[str]) -> list[Any]:
    """Return all of them, those that are not named for the nights."""
    return [name if name in now else pytest.param(name, marks=pytest.mark.nightly) for name in among]


FOUND_IN_THE_GAP = each("oplog rolled over", "database dropped", "all queues deleted", among=LOSSES)
NOTICED_AT_WORK = each("collection renamed", "one queue deleted", among=[*EVENTS, *QUEUES])
WRITTEN_LATE = each("oplog rolled over", "collection dropped", among=LOSSES)


@pytest.fixture(scope="module")
def mongodb_url(server_binaries: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A MongoDB of our own: nobody else's oplog shall roll over."""
    server = SmallOplogServer(tmp_path_factory.mktemp("small"), port=free_port(), tools=TOOLS)
    try:
        server.start()
        server.await_ready()
        yield server.url
    finally:
        server.stop()


@pytest.mark.parametrize("loss", FOUND_IN_THE_GAP)
def test_what_happens_in_the_gap_is_found_when_the_position_is_lost(
    loss, twin, documents, capturing, streaming, tally
):
    write_first(documents)
    with streaming():
        with capturing():
            tally.in_step()
        write_in_the_gap(documents)
        LOSSES[loss](twin)
        tally.fault()
        write_after(documents)
        lost_at = twin.source.now()
        seen: list[CaptureProgress] = []
        with capturing(report=seen.append):
            await_look_over(twin, seen)
            settle(tally, loss)
    assert oldest_look(twin, types_lost(loss)) >= lost_at
    assert twin.dead_letters.count() == 0


@pytest.mark.parametrize("loss", NOTICED_AT_WORK)
def test_a_capture_at_work_notices_that_its_position_is_worth_nothing(
    loss, twin, documents, capturing, streaming, tally
):
    write_first(documents)
    seen: list[CaptureProgress] = []
    with streaming(), capturing(report=seen.append):
        tally.in_step()
        write_in_the_gap(documents)
        lost_at = twin.source.now()
        LOSSES[loss](twin)
        tally.fault()
        await_look_over(twin, seen)
        write_after(documents)
        settle(tally, loss)
    assert oldest_look(twin, types_lost(loss)) >= lost_at
    assert twin.dead_letters.count() == 0


@pytest.mark.parametrize("loss", WRITTEN_LATE)
def test_a_document_that_a_slow_stream_writes_behind_the_gap_is_taken_out_again(
    loss, twin, documents, capturing, streaming, tally
):
    write_first(documents)
    with capturing(), streaming():
        tally.in_step()
    documents.posts.insert_one(post(99, "read before the gap, deleted in it, written behind it"))
    publish_all_changes(twin, capturing)
    seen: list[CaptureProgress] = []
    with held_at(FaultPoint.READ) as held, streaming():
        held.await_reached()
        documents.posts.delete_one({"_id": 99})
        LOSSES[loss](twin)
        tally.fault()
        with capturing(report=seen.append):
            wait_until(lambda: is_recovered(seen), what="everything is published again", limit_s=60)
            held.release()
            await_look_over(twin, seen)
            settle(tally, loss)
    assert twin.dead_letters.count() == 0


def test_a_capture_whose_oplog_is_too_small_for_a_snapshot_stops_and_says_so(
    twin, documents, capturing, streaming, tally
):
    """Each time that everything is published, the oplog has rolled over meanwhile."""
    write_first(documents)
    with capturing(), streaming():
        tally.in_step()
    write_in_the_gap(documents)
    roll_oplog(twin)
    rolled: list[FaultPoint] = []

    def roll(reached: FaultPoint) -> None:
        if reached is FaultPoint.SNAPSHOT_PUBLISHED:
            tally.fault()
            roll_oplog(twin)
            rolled.append(reached)

    disarm, stop, seen = arm(roll), threading.Event(), []
    limit = threading.Timer(120, stop.set)
    limit.start()
    try:
        with pytest.raises(PositionLost, match="replSetResizeOplog") as raised:
            run_capture(twin, stop=stop, report=seen.append)
    finally:
        limit.cancel()
        disarm()
    assert len(rolled) == seen[-1].recovered == FRUITLESS_RECOVERIES
    assert "\n" not in str(raised.value)
    with capturing(), streaming():
        settle(tally, "oplog rolled over")
    assert twin.dead_letters.count() == 0


def write_first(documents) -> None:
    documents.posts.insert_many([post(number, words(12, prefix=f"p{number}x")) for number in range(6)])
    documents.articles.insert_many([article(number, words(12, prefix=f"a{number}x")) for number in range(3)])


def write_in_the_gap(documents) -> None:
    documents.posts.delete_one({"_id": 0})
    documents.posts.replace_one({"_id": 1}, post(1, "edited in the gap"))
    documents.posts.insert_one(post(10, "born in the gap"))
    documents.articles.delete_one({"_id": 2})


def write_after(documents) -> None:
    documents.posts.replace_one({"_id": 1}, post(1, "written behind the gap"), upsert=True)
    documents.posts.insert_one(post(11, "born behind the gap"))


def is_recovered(seen: list[CaptureProgress]) -> bool:
    return bool(seen) and seen[-1].recovered > 0


def await_look_over(twin, seen: list[CaptureProgress]) -> None:
    """Wait until everything is published again, and what a stream may have written late is looked for."""
    wait_until(
        lambda: is_recovered(seen) and twin.meta.load_recheck() is None,
        what="the look over is done",
        limit_s=120,
    )


def settle(tally, loss: str) -> None:
    if LOSSES[loss] is roll_oplog:
        tally.extra_changes = WRITES  # MongoDB's own log of them is what was lost
    tally.settle()


def types_lost(loss: str) -> Iterable[DataType]:
    is_one_type = loss in EVENTS and loss != "database dropped"
    return [DataType.POSTS] if is_one_type else [DataType.POSTS, DataType.ARTICLES]


def oldest_look(twin, types: Iterable[DataType]) -> int:
    """Return the oldest time at which a document was looked at last, over all generations of these types.

    Tombstones are left out: a delete that was applied needs no other look.
    """
    return min(
        head.revision
        for data_type in types
        for generation in twin.meta.generations(data_type)
        for head in twin.store.scan_heads(generation.collection)
        if not head.deleted
    )
