"""kill -9 at every step of a write, a capture and a rebuild: it ends as if nothing had happened."""

from __future__ import annotations

import pytest

from twin_assets.faults import FaultPoint
from twin_assets.models.kinds import DataType, Snapshot
from twin_assets.operations.rebuild import rebuild
from twin_assets_tests.scenarios.chaos.faulty import faulty_run
from twin_assets_tests.scenarios.chaos.verdict import live, points_of
from twin_assets_tests.scenarios.documents import article, post, repository, words
from twin_assets_tests.scenarios.processes import long_run

pytestmark = [pytest.mark.servers, pytest.mark.slow, pytest.mark.chaos]

STREAM_POINTS = [
    FaultPoint.READ,
    FaultPoint.PLANNED,
    FaultPoint.STAGED,
    FaultPoint.KEPT_MOVED,
    FaultPoint.VERIFIED,
    FaultPoint.HEADS_WRITTEN,
    FaultPoint.STALE_DELETED,
    FaultPoint.GENERATION_WRITTEN,
    FaultPoint.ALL_WRITTEN,
    FaultPoint.MARKERS_STORED,
    FaultPoint.ACKNOWLEDGED,
]
CAPTURE_POINTS = [
    FaultPoint.PAGE_PUBLISHED,
    FaultPoint.SNAPSHOT_PUBLISHED,
    FaultPoint.CHANGES_PUBLISHED,
    FaultPoint.POSITION_SAVED,
]
REBUILD_POINTS = [
    FaultPoint.GENERATION_REGISTERED,
    FaultPoint.COLLECTION_CREATED,
    FaultPoint.BATCH_SCANNED,
    FaultPoint.PROVEN,
    FaultPoint.ALIAS_SWITCHED,
]
POST = DataType.POSTS


def write_versions(documents, turn: int) -> None:
    """Insert, keep half, shorten, put old text back and delete: each turn changes every document."""
    text = words(12, prefix="kept ") + " " + words(12 + turn % 3, prefix=f"t{turn}x")
    documents.posts.replace_one({"_id": 1}, post(1, text), upsert=True)
    documents.posts.replace_one({"_id": 2}, post(2, words(20 if turn % 2 else 3)), upsert=True)
    documents.articles.replace_one({"_id": "a"}, article("a", text), upsert=True)
    files = {"a.py": f"x = {turn}\n" * 10, "b.md": f"# B\n\n{text}"}
    documents.repositories.replace_one({"_id": 7}, repository(7, files), upsert=True)
    if turn % 3 == 2:
        documents.posts.delete_one({"_id": 2})


def test_a_stream_is_killed_at_every_step_of_its_write(
    twin, settings, documents, capturing, streaming, tally
):
    with capturing():
        for turn, point in enumerate(STREAM_POINTS):
            write_versions(documents, turn)
            with faulty_run(settings, "stream", at=point) as stream:
                stream.await_death()
                tally.fault()
            with streaming():
                tally.recover()
        with streaming():
            tally.settle()
    assert twin.dead_letters.count() == 0
    assert_as_without_faults(twin)


@pytest.mark.nightly
def test_a_stream_is_killed_between_two_generations(twin, settings, documents, capturing, streaming, tally):
    write_versions(documents, 0)
    with capturing():
        with streaming():
            tally.in_step()
            rebuild(twin, Snapshot.VECTOR, POST)
        for turn in range(1, 4):
            write_versions(documents, turn)
            with faulty_run(settings, "stream", at=FaultPoint.GENERATION_WRITTEN, turn=turn) as stream:
                stream.await_death()
                tally.fault()
        with streaming():
            tally.settle()
    assert_as_without_faults(twin)


@pytest.mark.nightly
def test_a_capture_is_killed_at_every_step(twin, settings, documents, streaming, tally):
    with streaming():
        for turn, point in enumerate(CAPTURE_POINTS):
            write_versions(documents, turn)
            with faulty_run(settings, "capture", at=point) as capture:
                if point is not FaultPoint.SNAPSHOT_PUBLISHED:
                    write_versions(documents, turn + 1)
                capture.await_death()
                tally.fault()
        with long_run(settings, "capture") as last:
            tally.settle()
            last.end()
    assert twin.dead_letters.count() == 0
    assert_as_without_faults(twin)


def test_a_rebuild_is_killed_at_every_step(twin, settings, documents, capturing, streaming, tally):
    write_versions(documents, 0)
    with capturing(), streaming():
        tally.in_step()
        for turn, point in enumerate(REBUILD_POINTS, start=1):
            with faulty_run(settings, "rebuild", "posts", "--snapshot", "vector", at=point) as building:
                building.await_death()
                tally.fault()
            write_versions(documents, turn)
            alias = live(twin, Snapshot.VECTOR, POST).alias
            assert twin.collections.aliases()[alias] in twin.collections.names()
        report = rebuild(twin, Snapshot.VECTOR, POST)
        assert twin.collections.aliases()[report.generation.alias] == report.generation.collection
        tally.settle()
    assert_as_without_faults(twin)


def assert_as_without_faults(twin) -> None:
    """A rebuild knows nothing of the faults; it must come to the same points, number by number."""
    for data_type in DataType:
        for snapshot in Snapshot:
            before = live(twin, snapshot, data_type)
            held = points_of(twin, before.collection)
            report = rebuild(twin, snapshot, data_type)
            built = points_of(twin, report.generation.collection)
            gone = {point for point, (payload, _) in held.items() if payload.get("deleted")}
            assert {point: held[point] for point in held.keys() - gone} == built
