"""A first snapshot and rebuilds race people who write: no gap and no ghost in any generation."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from itertools import count

import pytest

from twin_assets.faults import FaultPoint, arm
from twin_assets.models.base import document_key
from twin_assets.models.chunk import head_point_id
from twin_assets.models.generation import GenerationStatus
from twin_assets.models.kinds import DataType, Snapshot
from twin_assets.operations import republish
from twin_assets.operations import scan as scan_module
from twin_assets.operations.rebuild import rebuild
from twin_assets.source import registry
from twin_assets_tests.scenarios.chaos.held import held_at
from twin_assets_tests.scenarios.chaos.pauses import meddling
from twin_assets_tests.scenarios.documents import post, words
from twin_assets_tests.waiting import wait_until

pytestmark = [pytest.mark.servers, pytest.mark.slow, pytest.mark.chaos]

POST = DataType.POSTS
OLD = 30
PAGE = 5
SCANNED = (FaultPoint.PLANNED, FaultPoint.BATCH_SCANNED)
REBUILD_POINTS = [
    FaultPoint.GENERATION_REGISTERED,
    FaultPoint.COLLECTION_CREATED,
    *SCANNED,
    FaultPoint.PROVEN,
    FaultPoint.ALIAS_SWITCHED,
]


class People:
    """Insert, edit and delete at both ends of the collection: what a scan has passed, and what it has not."""

    def __init__(self, documents, tally) -> None:
        self.posts = documents.posts
        self.tally = tally
        self.turns = count()
        self.posts.insert_many([post(number, words(20, prefix=f"p{number}x")) for number in range(OLD)])

    def write(self) -> None:
        turn = next(self.turns)
        text = words(12, prefix="kept") + " " + words(10 + turn, prefix=f"t{turn}x")
        self.posts.replace_one({"_id": 0}, post(0, text))
        self.posts.replace_one({"_id": OLD - 1}, post(OLD - 1, text))
        self.posts.delete_many({"_id": {"$in": [1 + turn, OLD - 2 - turn, f"born {turn - 1}"]}})
        self.posts.insert_many([post(-1 - turn, text), post(f"born {turn}", text)])
        self.tally.fault()


@pytest.fixture
def people(documents, tally) -> People:
    return People(documents, tally)


@pytest.mark.parametrize("stream_first", [True, False], ids=["stream first", "snapshot first"])
def test_people_write_while_the_first_snapshot_is_published(
    twin, capturing, streaming, tally, people, monkeypatch, stream_first
):
    monkeypatch.setattr(republish, "PAGE", PAGE)
    pages = []

    def on_page(progress) -> None:
        if not progress.snapshot_done and progress.published > len(pages) * PAGE:
            pages.append(progress.published)
            people.write()

    disarm = arm(lambda point: people.write() if point is FaultPoint.SNAPSHOT_PUBLISHED else None)
    try:
        if stream_first:
            with streaming(), capturing(on_page):
                await_captured(twin)
                tally.settle()
        else:
            with capturing(on_page):
                await_captured(twin)
            with capturing(), streaming():
                tally.settle()
    finally:
        disarm()
    assert len(pages) >= OLD / PAGE
    assert twin.dead_letters.count() == 0


@pytest.mark.nightly
@pytest.mark.parametrize("snapshot", Snapshot)
def test_people_write_at_every_step_of_a_rebuild(
    twin, capturing, streaming, tally, people, monkeypatch, snapshot
):
    monkeypatch.setattr(scan_module, "SCAN_BATCH", OLD // 3)
    steps = []

    def write(point: FaultPoint) -> None:
        if point in REBUILD_POINTS:
            steps.append(point)
            people.write()
            tally.in_step()
            if point is FaultPoint.COLLECTION_CREATED:
                assert held_by_building(twin, 0), "what was read after the registration is written there"

    with capturing(), streaming():
        tally.in_step()
        with meddling(write):
            rebuild(twin, snapshot, POST)
        tally.settle()
    assert {*steps} == {*REBUILD_POINTS}


@pytest.mark.parametrize("snapshot", Snapshot)
def test_a_generation_is_registered_between_a_read_and_the_look_into_the_registry(
    twin, documents, capturing, streaming, tally, snapshot
):
    documents.posts.insert_many([post(1, "edited"), post(2, "deleted")])
    changes = {
        1: lambda: documents.posts.replace_one({"_id": 1}, post(1, words(30))),
        2: lambda: documents.posts.delete_one({"_id": 2}),
        3: lambda: documents.posts.insert_one(post(3, words(20))),
    }
    with capturing(), streaming():
        tally.in_step()
        for number, change in changes.items():
            with held_at(FaultPoint.READ) as stream:
                change()
                stream.await_reached()
                tally.fault()

                def go_on(point: FaultPoint, stream=stream, number=number) -> None:
                    if point is FaultPoint.COLLECTION_CREATED:
                        stream.release()
                        tally.recover()
                        assert not held_by_building(twin, number), "the scan's, and not the stream's"

                with meddling(go_on):
                    rebuild(twin, snapshot, POST)
        tally.settle()


@pytest.mark.parametrize("snapshot", Snapshot)
def test_changes_are_applied_between_the_two_writes_of_a_registration(
    twin, capturing, streaming, tally, people, monkeypatch, snapshot
):
    own, original, interruptions = threading.get_ident(), registry.dated_session, []

    @contextmanager
    def interrupted(client):
        with original(client) as (session, since):
            if threading.get_ident() == own and is_half_registered(twin):
                interruptions.append(since)
                people.write()
                tally.in_step()
            yield session, since

    with capturing(), streaming():
        tally.in_step()
        monkeypatch.setattr(registry, "dated_session", interrupted)
        report = rebuild(twin, snapshot, POST)
        assert interruptions == [report.generation.since]
        tally.settle()


def is_half_registered(twin) -> bool:
    """Tell whether a generation is known whose `since` is not."""
    generations = twin.source.client[twin.settings.meta_database]["generations"]
    return generations.count_documents({"since": None}) > 0


def held_by_building(twin, number: int) -> bool:
    """Tell whether the stream has written a post, or its tombstone, into the generation under way."""
    (building,) = [each for each in twin.meta.generations(POST) if each.status is GenerationStatus.BUILDING]
    head = head_point_id(document_key(POST, f"int:{number}"))
    return bool(twin.store.heads(building.collection, [head]))


def await_captured(twin) -> None:
    """Wait until the first snapshot is published: what people wrote meanwhile comes behind it."""
    wait_until(twin.meta.load_position, what="the capture saves a position", limit_s=120)
