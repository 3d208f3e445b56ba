"""Writers that stood still, were replaced, and then went on: the newest state wins in every generation."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta

import pytest
from qdrant_client import models as q

from twin_assets.faults import FaultPoint
from twin_assets.models.change import Change
from twin_assets.models.kinds import DataType, Snapshot
from twin_assets.operations.bootstrap import ensure_generations
from twin_assets.operations.rebuild import rebuild
from twin_assets.operations.retention import sweep
from twin_assets.store import filters
from twin_assets_tests.scenarios.chaos.pauses import (
    STOPS,
    WITHOUT_NEW_TEXT,
    Zombie,
    applier_of,
    meddling,
    reading,
)
from twin_assets_tests.scenarios.chaos.verdict import live
from twin_assets_tests.scenarios.documents import post, words
from twin_assets_tests.waiting import wait_until

pytestmark = [pytest.mark.servers, pytest.mark.slow, pytest.mark.chaos]

POST = DataType.POSTS
FIRST = words(24) + " and an old end"
SECOND = words(24) + " but a new end " + words(9, prefix="more")
REFUSED = {"platform": "p", "content": {"text": "nobody wrote this"}}


class Crowd:
    """Documents with one zombie each, one for every point at which a writer can stand still."""

    def __init__(self, twin, documents, tally) -> None:
        self.twin = twin
        self.posts = documents.posts
        self.tally = tally
        self.zombies: list[Zombie] = []

    def insert(self, numbers, text: str) -> None:
        self.posts.insert_many([post(number, text) for number in numbers])

    def edit(self, numbers, text: str) -> None:
        for number in numbers:
            self.posts.replace_one({"_id": number}, post(number, text))

    def refuse(self, numbers) -> None:
        for number in numbers:
            self.posts.replace_one({"_id": number}, REFUSED)

    def delete(self, numbers) -> None:
        self.posts.delete_many({"_id": {"$in": [*numbers]}})

    def stop(self, numbers, stops) -> None:
        """Begin to apply each document as it is now, and stand still on the way."""
        for number, (point, turn) in zip(numbers, stops, strict=True):
            self.zombies.append(Zombie(self.twin, [number], point, turn))
            self.tally.fault()

    def apply(self, numbers) -> None:
        """Apply documents as they are now, without a stream, which would apply them once more."""
        applier = applier_of(self.twin)
        changes = [Change(type=POST, entry=f"int:{number}", revision=0) for number in numbers]
        applier.apply(applier.fetch(changes))

    def go_on(self) -> None:
        """Wake them all; each must find that it came too late."""
        zombies, self.zombies = self.zombies, []
        for zombie in zombies:
            zombie.go_on()


@pytest.fixture
def crowd(twin, documents, tally) -> Crowd:
    return Crowd(twin, documents, tally)


def numbered(hundreds: int, stops) -> range:
    """Return a document for each stop."""
    return range(100 * hundreds, 100 * hundreds + len(stops))


def test_old_text_that_was_put_back_outlives_zombies_of_every_step(twin, capturing, streaming, tally, crowd):
    back, again = numbered(1, STOPS), numbered(2, STOPS)
    refused = numbered(3, WITHOUT_NEW_TEXT)
    everyone = [*back, *again, *refused]
    crowd.insert(everyone, FIRST)
    with capturing():
        with streaming():
            tally.in_step()
        crowd.edit([*back, *again], SECOND)
        crowd.refuse(refused)
        crowd.stop(back, STOPS)
        crowd.stop(again, STOPS)
        crowd.stop(refused, WITHOUT_NEW_TEXT)
        crowd.edit(everyone, FIRST)
        with reading(lambda: documents_with_chunks(twin)) as reader, streaming():
            tally.in_step()
            crowd.edit(again, SECOND)
            tally.in_step()
            crowd.go_on()
            tally.settle()
    assert min(reader.seen) == max(reader.seen) == len(everyone)
    assert twin.store.count_quarantined(live(twin, Snapshot.VECTOR, POST).collection) == 0


def test_nothing_deleted_comes_back_and_nothing_inserted_again_goes(twin, capturing, streaming, tally, crowd):
    gone, short_lived = numbered(1, STOPS), numbered(2, STOPS)
    returned = numbered(3, WITHOUT_NEW_TEXT)
    crowd.insert([*gone, *returned], FIRST)
    with capturing():
        with streaming():
            tally.in_step()
        crowd.edit(gone, SECOND)
        crowd.insert(short_lived, SECOND)
        crowd.delete(returned)
        crowd.stop(gone, STOPS)
        crowd.stop(short_lived, STOPS)
        crowd.stop(returned, WITHOUT_NEW_TEXT)
        crowd.delete([*gone, *short_lived])
        crowd.insert(returned, FIRST)
        with streaming():
            tally.in_step()
            crowd.go_on()
            tally.settle()
    assert documents_with_chunks(twin) == len(returned)


@pytest.mark.nightly
def test_a_generation_registered_meanwhile_gets_the_newest_state(
    twin, documents, capturing, streaming, tally, crowd
):
    newest, edited, deleted = numbered(1, STOPS), numbered(2, STOPS), numbered(3, STOPS)
    early = Crowd(twin, documents, tally)
    crowd.insert([*newest, *edited, *deleted], FIRST)
    with capturing():
        with streaming():
            tally.in_step()
        crowd.edit([*newest, *edited, *deleted], SECOND)
        crowd.stop(newest, STOPS)
        early.stop(edited, STOPS)
        early.stop(deleted, STOPS)
        crowd.edit(edited, FIRST)
        crowd.delete(deleted)
        with streaming():
            rebuild(twin, Snapshot.VECTOR, POST)
            with meddling(lambda point: early.go_on() if point is FaultPoint.BATCH_SCANNED else None):
                rebuild(twin, Snapshot.CLEANED, POST)
                rebuild(twin, Snapshot.VECTOR, POST)
            crowd.go_on()
            tally.settle()
    assert len(twin.meta.generations(POST)) == 5


@pytest.mark.nightly
@pytest.mark.parametrize("newest", [FIRST, None], ids=["the edit is taken back", "the document is deleted"])
def test_zombies_go_on_in_the_middle_of_the_newest_write(twin, tally, crowd, newest):
    ensure_generations(twin, stop=threading.Event())
    for hundreds, stop in enumerate(WITHOUT_NEW_TEXT, start=1):
        numbers = numbered(hundreds, STOPS)
        crowd.insert(numbers, FIRST)
        crowd.apply(numbers)
        crowd.edit(numbers, SECOND)
        crowd.stop(numbers, STOPS)
        crowd.delete(numbers)
        if newest is not None:
            crowd.insert(numbers, newest)
        winner = Zombie(twin, numbers, *stop)
        crowd.go_on()
        winner.go_on()
    tally.settle(lambda: None)


def test_tombstones_outlive_every_writer_that_is_older_than_the_watermark(
    twin, capturing, streaming, tally, crowd
):
    gone = numbered(1, STOPS)
    crowd.insert(gone, FIRST)
    with capturing(), streaming():
        tally.in_step()
    crowd.edit(gone, SECOND)
    crowd.stop(gone, STOPS)
    crowd.delete(gone)
    crowd.apply(gone)
    days_later = datetime.now(UTC) + timedelta(days=3)
    sweep(twin, now=days_later)
    assert tombstones(twin) == len(gone)
    crowd.go_on()
    assert documents_with_chunks(twin) == 0
    with capturing(), streaming():
        tally.in_step()
        sweep(twin)
        assert tombstones(twin) == len(gone)
        # The messages moved the tombstones on, past the position that was waited for.
        wait_until(lambda: swept(twin, days_later), what="the watermark passes the tombstones")
        tally.settle()


def documents_with_chunks(twin) -> int:
    """Count the documents of which a reader finds text."""
    chunks = q.Filter(must_not=[filters.HEAD])
    return len({record.payload["entry"] for record in twin.store.scroll("vector_posts", chunks)})


def tombstones(twin) -> int:
    """Count the tombstones in the collection of vectors."""
    return twin.store.count("vector_posts", q.Filter(must=[filters.HEAD, filters.DELETED]))


def swept(twin, now: datetime) -> bool:
    sweep(twin, now=now)
    return tombstones(twin) == 0
