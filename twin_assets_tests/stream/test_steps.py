"""What the steps do around the work itself: here, whose fault the end of a stream is."""

from __future__ import annotations

import threading
from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pytest

from twin_assets.errors import ClusterTimeWentBack, StoreUnavailable
from twin_assets.models.change import Marker
from twin_assets.operations.context import StepContext
from twin_assets.operations.patience import Patience, Stopped
from twin_assets.settings import Settings
from twin_assets.stream.intake import SUSPECT_ATTEMPTS, Intake
from twin_assets.stream.round import Round
from twin_assets.stream.steps import StreamSteps
from twin_assets_tests.stream.test_intake import FakeInbox, delivery


@dataclass
class Attempts:
    """Counts attempts in memory, as the meta store does."""

    counted: dict[str, int] = field(default_factory=dict)

    def count_attempt(self, key: str) -> int:
        self.counted[key] = self.counted.get(key, 0) + 1
        return self.counted[key]

    def clear_attempts(self, keys: Collection[str]) -> None:
        for key in keys:
            self.counted.pop(key, None)


@dataclass
class StoppedAmidOutage:
    """A source that is down, and an operator who stops the stream meanwhile."""

    stop: threading.Event

    def read(self, *_: Any, **__: Any) -> None:
        self.stop.set()
        raise StoreUnavailable("nowhere")


@dataclass
class FakeTwin:
    source: Any
    meta: Any
    settings: Any = field(default_factory=Settings)


def steps_of(source: Any, meta: Attempts, stop: threading.Event) -> StreamSteps:
    twin: Any = FakeTwin(source, meta)
    unused: Any = None
    context = StepContext(twin, unused, Patience(stop), unused)
    return StreamSteps(context, Intake(FakeInbox(q0=[]), queues=[0]), report=lambda _: None)


def test_a_stop_that_was_asked_for_is_no_guilt_of_the_document_in_hand():
    stop, meta = threading.Event(), Attempts()
    steps = steps_of(StoppedAmidOutage(stop), meta, stop)
    rounds = list(steps.read_changes([delivery(1, attempts=SUSPECT_ATTEMPTS)]))
    assert meta.counted == {"posts/int:1": 1}
    with pytest.raises(Stopped):
        steps.fetch(rounds)
    assert meta.counted == {"posts/int:1": 1}
    steps.acquit()
    assert meta.counted == {}
    steps.acquit()


@dataclass
class ClockAt:
    """A source whose cluster time stands still."""

    revision: int

    def now(self) -> int:
        return self.revision


def test_a_marker_that_no_clock_of_this_cluster_has_reached_stops_the_stream():
    steps = steps_of(ClockAt(10), Attempts(), threading.Event())
    reached, ahead = (
        Round([], [], {0: Marker(position=position, sent_at=datetime.now(UTC))}) for position in (10, 11)
    )
    assert list(steps.fetch([reached])) == [reached]
    with pytest.raises(ClusterTimeWentBack, match="11"):
        steps.fetch([ahead])
