"""Markers and saves fall due by the clock that is passed in."""

from __future__ import annotations

from typing import Any

import pytest

from twin_assets.errors import QueuesMissing
from twin_assets.operations.bookmark import LONGEST_WAIT_S, MOST_UNSEEN_MARKERS, Bookmark
from twin_assets.operations.rate import Rate
from twin_assets.settings import Settings
from twin_assets.source.changes import Position
from twin_assets_tests.operations.capturing import MemoryPublisher, MemoryTwin


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


class PositionRecord:
    def __init__(self) -> None:
        self.saved: list[Position] = []
        self.reached: int | None = None

    def watermark(self, queues: int) -> int | None:
        return self.reached

    def save_position(self, position: Position) -> None:
        self.saved.append(position)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def twin() -> MemoryTwin:
    record: Any = PositionRecord()
    source: Any = None
    return MemoryTwin(Settings(marker_interval_s=60), source, record, MemoryPublisher(1))


@pytest.fixture
def bookmark(twin: MemoryTwin, clock: Clock) -> Bookmark:
    return Bookmark(twin, clock)  # type: ignore[arg-type]


def at(revision: int) -> Position:
    return Position({"_data": "82"}, revision)


def test_a_marker_is_sent_and_the_position_saved_at_every_interval(
    bookmark: Bookmark, twin: MemoryTwin, clock: Clock
) -> None:
    bookmark.move(at(1), changed=True, drained=False)
    assert twin.publisher.markers == []
    clock.now += 60
    bookmark.move(at(2), changed=True, drained=False)
    assert [marker.position for marker in twin.publisher.markers] == [2]
    assert twin.meta.saved == [at(2)]


def test_a_drained_stream_is_marked_at_once_but_not_too_often(
    bookmark: Bookmark, twin: MemoryTwin, clock: Clock
) -> None:
    clock.now += 1
    bookmark.move(at(1), changed=True, drained=True)
    bookmark.move(at(2), changed=True, drained=True)
    assert [marker.position for marker in twin.publisher.markers] == [1]
    assert bookmark.wait_s() == pytest.approx(0.2)
    clock.now += 0.3
    assert bookmark.wait_s() == 0
    bookmark.move(at(3), changed=False, drained=True)
    clock.now += 0.3
    bookmark.move(at(4), changed=False, drained=True)
    assert [marker.position for marker in twin.publisher.markers] == [1, 3]
    assert bookmark.wait_s() == LONGEST_WAIT_S


def test_the_position_is_saved_every_ten_seconds_between_markers(
    bookmark: Bookmark, twin: MemoryTwin, clock: Clock
) -> None:
    for second in range(25):
        clock.now += 1
        bookmark.move(at(second), changed=False, drained=True)
    assert [position.revision for position in twin.meta.saved] == [9, 19]
    assert twin.publisher.markers == []


def test_markers_do_not_pile_up_while_the_stream_is_away(
    bookmark: Bookmark, twin: MemoryTwin, clock: Clock
) -> None:
    twin.publisher.missing = []
    for revision in range(1, 100):
        clock.now += 60
        bookmark.move(at(revision), changed=False, drained=True)
    assert len(twin.publisher.markers) == MOST_UNSEEN_MARKERS
    assert twin.meta.saved[-1] == at(99)
    twin.meta.reached = MOST_UNSEEN_MARKERS
    clock.now += 60
    bookmark.move(at(100), changed=False, drained=True)
    assert twin.publisher.markers[-1].position == 100


def test_a_new_start_expects_no_more_of_the_markers_before_it(
    bookmark: Bookmark, twin: MemoryTwin, clock: Clock
) -> None:
    for revision in range(MOST_UNSEEN_MARKERS):
        clock.now += 60
        bookmark.move(at(1 + revision), changed=False, drained=True)
    bookmark.start(Position(None, 99))  # the queues were lost, and the markers in them
    bookmark.mark()
    assert twin.publisher.markers[-1].position == 99


def test_queues_that_were_lost_are_noticed_even_when_no_marker_is_due(
    bookmark: Bookmark, twin: MemoryTwin, clock: Clock
) -> None:
    twin.publisher.missing = ["twin.changes.0"]
    for revision in range(1, MOST_UNSEEN_MARKERS + 1):
        clock.now += 60
        bookmark.move(at(revision), changed=False, drained=True)
    clock.now += 60
    with pytest.raises(QueuesMissing, match=r"twin\.changes\.0"):
        bookmark.move(at(1000), changed=False, drained=True)


def test_only_a_saved_token_is_progress(bookmark: Bookmark) -> None:
    bookmark.start(Position(None, 5))
    bookmark.save()
    assert not bookmark.has_progress
    bookmark.move(at(6), changed=True, drained=False)
    bookmark.save()
    assert bookmark.has_progress


def test_a_rate_forgets_what_is_long_ago(clock: Clock) -> None:
    rate = Rate(clock)
    assert rate.add(50) == 50
    clock.now += 5
    assert rate.add(50) == 20
    clock.now += 100
    assert rate.add(0) < 1
    clock.now += 1
    assert rate.add(0) == 0
