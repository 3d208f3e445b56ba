from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest

from twin_assets.errors import CollectionsUnknown, SourceUnavailable
from twin_assets.settings import Settings
from twin_assets.stream import housekeeping as module
from twin_assets.stream.housekeeping import LOOK_INTERVAL_S, SWEEP_INTERVAL_S, TRIM_INTERVAL_S, Housekeeping


@dataclass
class DownAtTheSweep:
    """A meta store that is away just when old tombstones and standbys are looked for."""

    asked: int = 0

    def watermark(self, _: int) -> None:
        self.asked += 1
        raise SourceUnavailable("nowhere")

    def generations(self, *, include_retired: bool) -> list[Any]:
        raise SourceUnavailable("nowhere")


class CameBackEmpty:
    """A meta store that has lost every record."""

    def watermark(self, _: int) -> None:
        """Return none."""

    def generations(self, *, include_retired: bool = False) -> list[Any]:
        return []


class Held:
    """The collections in Qdrant."""

    def names(self) -> list[str]:
        return ["somebody_elses", "vector_posts__g0002"]


@dataclass
class FakeTwin:
    meta: Any
    settings: Settings
    collections: Held = field(default_factory=Held)


@pytest.fixture
def meta() -> DownAtTheSweep:
    return DownAtTheSweep()


@pytest.fixture
def now() -> list[float]:
    return [0.0]


@pytest.fixture
def chores(meta: DownAtTheSweep, now: list[float]) -> Housekeeping:
    twin: Any = FakeTwin(meta, Settings())
    return Housekeeping(twin, clock=lambda: now[0])


def test_a_sweep_that_meets_an_outage_is_put_off_and_holds_up_nobody(chores, meta, now, caplog):
    for now[0] in (0.0, 1.0, SWEEP_INTERVAL_S + 1.0):
        chores.do()
    assert meta.asked == 2
    said = f"the sweep is put off by 3600 s: {SourceUnavailable('nowhere')}"
    assert [record.message for record in caplog.records] == [said] * 2


def test_memory_is_given_back_once_in_every_interval(chores, now, monkeypatch):
    given: list[float] = []
    monkeypatch.setattr(module, "give_back_memory", lambda: given.append(now[0]))
    for now[0] in (0.0, TRIM_INTERVAL_S + 1.0, TRIM_INTERVAL_S + 2.0, 3 * TRIM_INTERVAL_S):
        chores.do()
    assert given == [TRIM_INTERVAL_S + 1.0, 3 * TRIM_INTERVAL_S]


def test_a_mongodb_that_came_back_empty_ends_the_stream_within_a_minute(now):
    twin: Any = FakeTwin(CameBackEmpty(), Settings())
    chores = Housekeeping(twin, clock=lambda: now[0])
    chores.do()
    now[0] = LOOK_INTERVAL_S + 1.0
    with pytest.raises(CollectionsUnknown, match="vector_posts__g0002, and MongoDB's twin_meta knows none"):
        chores.do()


def test_a_look_that_meets_an_outage_holds_up_nobody(chores, now):
    for now[0] in (0.0, LOOK_INTERVAL_S + 1.0):
        chores.do()
