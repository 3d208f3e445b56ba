from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field

import pytest
from dagster import AssetKey, AssetObservation
from dagster_postgres.utils import DagsterPostgresException

from twin_assets.defs.observations import Figures, Observed, Observer
from twin_assets.errors import StoreUnavailable

POSTS = AssetKey(["qdrant", "vector_posts"])
ARTICLES = AssetKey(["qdrant", "vector_articles"])
INTERVAL_S = 300.0
QUIET_S = 10.0


@dataclass
class Watched:
    """An observer with its own clock, over collections that a test sets."""

    now: float = 1000.0
    figures: dict[AssetKey, Figures] = field(default_factory=dict)
    written: list[AssetObservation] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.observer = Observer(self.written.append, INTERVAL_S, lambda: self.now, quiet_s=QUIET_S)

    def look(self) -> Observed:
        return dict(self.figures)

    def offer(self, work: int, *, after: float = 0) -> None:
        """Offer twice, as the beats do: what a look brought is written at the next one."""
        self.now += after
        self.observer.offer(work, self.look)
        if self.observer._survey is not None:
            assert self.observer._survey.ended.wait(5)
        self.observer.offer(work, self.look)

    def keys(self) -> list[AssetKey]:
        return [event.asset_key for event in self.written]


def values(event: AssetObservation) -> Mapping[str, object]:
    return {name: value.value for name, value in event.metadata.items()}


@pytest.fixture
def watched() -> Watched:
    return Watched(figures={POSTS: {"documents": 3, "lag_s": 0.5}})


def test_a_burst_is_observed_at_its_end(watched):
    watched.offer(1)
    watched.offer(2, after=5)
    watched.offer(3, after=5)
    assert watched.written == []
    watched.offer(3, after=QUIET_S)
    assert [values(event) for event in watched.written] == [{"documents": 3, "lag_s": 0.5}]
    assert watched.observer.events == 1


def test_work_without_a_pause_is_observed_once_per_interval(watched):
    for second in range(0, 1200, 5):
        watched.figures[POSTS] = {"documents": second}
        watched.offer(second, after=5)
    assert len(watched.written) == 3


def test_two_observations_of_an_asset_are_an_interval_apart(watched):
    watched.offer(1)
    watched.offer(1, after=QUIET_S)
    watched.figures = {POSTS: {"documents": 4}, ARTICLES: {"documents": 1}}
    watched.offer(2, after=1)
    watched.offer(2, after=INTERVAL_S - 2)
    assert watched.keys() == [POSTS]
    watched.offer(2, after=2)
    assert watched.keys() == [POSTS, POSTS, ARTICLES]


def test_only_assets_that_changed_are_observed(watched):
    watched.figures[ARTICLES] = {"documents": 9, "lag_s": 1.0}
    watched.offer(1, after=QUIET_S)
    watched.offer(1, after=QUIET_S)
    watched.figures = {POSTS: {"documents": 4, "lag_s": 0.5}, ARTICLES: {"documents": 9, "lag_s": 7.0}}
    watched.offer(2, after=INTERVAL_S)
    watched.offer(2, after=QUIET_S)
    assert watched.keys() == [POSTS, ARTICLES, POSTS]


def test_an_empty_collection_is_no_news(watched):
    watched.figures = {POSTS: {"documents": 0, "lag_s": 9.5}}
    watched.offer(0)
    watched.offer(0, after=QUIET_S)
    assert watched.written == []


def test_nothing_is_looked_at_while_nothing_is_done(watched):
    watched.offer(1)
    watched.offer(1, after=QUIET_S)
    watched.figures[POSTS] = {"documents": 5}
    watched.offer(1, after=10 * INTERVAL_S)
    assert len(watched.written) == 1


def test_a_plotted_asset_gets_points_while_nothing_changes_and_the_others_none(watched):
    watched.observer.plotted = [POSTS]
    watched.figures[ARTICLES] = {"documents": 1}
    watched.offer(1)
    watched.offer(1, after=QUIET_S)
    for minute in range(1, 31):
        watched.figures[POSTS] = {"documents": 3, "age_s": 60.0 * minute}
        watched.offer(1, after=60)
    assert watched.keys() == [POSTS, ARTICLES, POSTS, POSTS]
    assert values(watched.written[-1])["age_s"] > values(watched.written[-2])["age_s"] > 0


def test_what_others_did_to_a_plotted_asset_is_seen_though_no_work_was_done(watched):
    watched.observer.plotted = [POSTS]
    watched.offer(1)
    watched.offer(1, after=QUIET_S)
    watched.figures[POSTS] = {"documents": 3, "dead_letters": 1}
    watched.offer(1, after=INTERVAL_S)
    watched.offer(1, after=INTERVAL_S)
    assert [values(event).get("dead_letters") for event in watched.written] == [None, 1]


def test_freshness_alone_is_no_news_of_an_asset_that_is_not_plotted(watched):
    watched.offer(1)
    watched.offer(1, after=QUIET_S)
    watched.figures[POSTS] = {"documents": 3, "p95_s": 40.0, "worst_s": 90.0, "samples": 12}
    watched.offer(2, after=INTERVAL_S)
    watched.offer(2, after=QUIET_S)
    assert len(watched.written) == 1


def test_the_end_of_a_run_observes_what_is_left(watched):
    watched.offer(1)
    watched.observer.conclude(2, watched.look)
    assert watched.keys() == [POSTS]
    watched.observer.conclude(2, watched.look)
    assert watched.keys() == [POSTS]


def test_a_server_that_is_down_costs_one_observation_and_nothing_else(watched):
    def look() -> Observed:
        raise StoreUnavailable("http://127.0.0.1:6333")

    watched.observer.conclude(1, look)
    assert watched.written == []
    watched.offer(2, after=INTERVAL_S)
    watched.offer(2, after=QUIET_S)
    assert watched.keys() == [POSTS]


def test_what_dagster_did_not_take_is_observed_again(watched):
    def refuse(_: AssetObservation) -> None:
        raise DagsterPostgresException("too many retries for DB connection")

    watched.observer.emit = refuse
    watched.offer(1)
    watched.offer(1, after=QUIET_S)
    watched.observer.emit = watched.written.append
    assert watched.observer.events == 0
    watched.offer(1, after=INTERVAL_S)
    assert watched.keys() == [POSTS]


def test_a_look_that_hangs_holds_nobody_up(watched):
    released = threading.Event()

    def look() -> Observed:
        released.wait(10)
        return {}

    watched.observer.offer(1, look)
    watched.now += QUIET_S
    watched.observer.offer(1, look)
    watched.observer.offer(2, look)
    released.set()
