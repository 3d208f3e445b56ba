from __future__ import annotations

from dagster import AssetKey, AssetObservation

from twin_assets.defs.observations import Observer

POSTS = AssetKey(["qdrant", "vector_posts"])
ARTICLES = AssetKey(["qdrant", "vector_articles"])


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def observer(clock: Clock) -> tuple[Observer, list[AssetObservation]]:
    written: list[AssetObservation] = []
    return Observer(written.append, interval_s=300, clock=clock), written


def test_a_first_count_is_written_at_once():
    observe, written = observer(Clock())
    observe.offer({POSTS: {"documents": 3, "lag_s": 0.5}})
    assert [event.asset_key for event in written] == [POSTS]
    assert written[0].metadata["documents"].value == 3
    assert written[0].metadata["lag_s"].value == 0.5


def test_nothing_is_written_where_nothing_happened_yet():
    observe, written = observer(Clock())
    observe.offer({POSTS: {"documents": 0, "lag_s": 9.5}})
    assert written == []


def test_a_change_waits_until_the_interval_of_its_asset_is_over():
    clock = Clock()
    observe, written = observer(clock)
    observe.offer({POSTS: {"documents": 1}})
    clock.now = 299
    observe.offer({POSTS: {"documents": 2}, ARTICLES: {"documents": 1}})
    assert [event.asset_key for event in written] == [POSTS, ARTICLES]
    clock.now = 300
    observe.offer({POSTS: {"documents": 2}, ARTICLES: {"documents": 2}})
    assert [event.asset_key for event in written] == [POSTS, ARTICLES, POSTS]
    assert observe.events == 3


def test_lag_and_rate_alone_are_no_news():
    clock = Clock()
    observe, written = observer(clock)
    observe.offer({POSTS: {"documents": 1, "lag_s": 1.0, "chunks_per_s": 30.0}})
    clock.now = 1000
    observe.offer({POSTS: {"documents": 1, "lag_s": 2.0, "chunks_per_s": 0.0}})
    assert len(written) == 1


def test_the_last_offer_writes_what_changed_whatever_the_interval():
    observe, written = observer(Clock())
    observe.offer({POSTS: {"documents": 1}, ARTICLES: {"documents": 1}})
    observe.offer({POSTS: {"documents": 2}, ARTICLES: {"documents": 1}}, last=True)
    assert [event.asset_key for event in written] == [POSTS, ARTICLES, POSTS]
