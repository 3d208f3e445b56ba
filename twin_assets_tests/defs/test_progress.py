from __future__ import annotations

import time
import uuid

import pytest

from twin_assets.defs.names import CHANGES_KEY, collection_key
from twin_assets.defs.observations import FRESHNESS
from twin_assets.defs.progress import (
    capture_reporting,
    describe_stream,
    freshness_figures,
    lateness,
    stream_figures,
    stream_lag_s,
    stream_reporting,
)
from twin_assets.defs.resources import TwinResource
from twin_assets.models.ages import AgeHistogram
from twin_assets.models.change import Marker, revision_of
from twin_assets.models.kinds import DataType, Snapshot
from twin_assets.operations.batch import Counts
from twin_assets.operations.capture_progress import CaptureProgress
from twin_assets.operations.twin import open_twin
from twin_assets.settings import load_settings
from twin_assets.stream.steps import StreamProgress
from twin_assets_tests.defs.flows import quick_settings


def position(seconds_ago: int) -> int:
    return revision_of(int(time.time()) - seconds_ago, 1)


def test_a_stream_says_its_lag_and_what_it_did():
    progress = StreamProgress(
        Counts(documents=12, chunks_embedded=80), watermark=position(40), dead_letters=2
    )
    said = describe_stream(progress)
    assert said.startswith(("lag 40 s", "lag 41 s"))
    assert said.endswith("12 documents, 80 chunks embedded, 2 dead letters")


def test_vectors_that_come_from_the_cache_are_told_and_their_share_is_a_figure():
    some = StreamProgress(Counts(chunks_embedded=3, chunks_recalled=1, chunks_reused=5))
    assert "3 chunks embedded, 1 recalled" in describe_stream(some)
    assert stream_figures(some)["cache_hit_rate"] == 0.25
    assert "cache_hit_rate" not in stream_figures(StreamProgress(Counts(chunks_reused=5)))


def test_a_stream_that_waits_says_for_whom():
    assert describe_stream(StreamProgress(Counts(), waiting_for="Qdrant")) == "waiting for Qdrant"


def test_before_its_first_marker_a_stream_knows_no_lag():
    progress = StreamProgress(Counts())
    assert stream_lag_s(progress) is None
    assert describe_stream(progress).startswith("no position yet")


def test_a_cluster_whose_clock_is_ahead_has_no_negative_lag():
    assert stream_lag_s(StreamProgress(Counts(), watermark=position(-30))) == 0.0


def test_work_done_is_compared_by_value_although_the_counts_are_shared():
    work = stream_reporting(TwinResource(), quick_settings()).work
    progress = StreamProgress(Counts())
    before = work(progress)
    progress.counts.documents += 1
    assert work(progress) != before


@pytest.mark.parametrize(("seconds", "level"), [(0, 0), (25, 0), (40, 1), (70, 2), (130, 3), (3900, 8)])
def test_lateness_is_news_at_the_limit_and_at_each_doubling(seconds, level):
    assert lateness(StreamProgress(Counts(), watermark=position(seconds)), 30.0) == level


def test_a_stream_that_gets_late_is_observed_although_it_does_nothing():
    reporting = stream_reporting(TwinResource(), quick_settings())
    counts = Counts(documents=3)
    in_time, late = (StreamProgress(counts, watermark=position(seconds)) for seconds in (0, 600))
    assert reporting.work(in_time) != reporting.work(late)


def test_an_asset_is_plotted_by_one_run_alone_lest_its_newest_observation_be_half_of_the_figures():
    capture = capture_reporting(TwinResource(), quick_settings()).plotted
    stream = stream_reporting(TwinResource(), quick_settings()).plotted
    assert capture == [CHANGES_KEY]
    assert stream == [collection_key(Snapshot.VECTOR, each) for each in DataType]


@pytest.mark.servers
def test_observations_hold_the_percentiles_as_numbers(mongodb_url):
    settings = load_settings(mongodb_url=mongodb_url, mongodb_database=f"twin_{uuid.uuid4().hex[:12]}")
    ages = AgeHistogram()
    ages.add(250.0)
    with open_twin(settings) as twin:
        now = twin.meta.clock.now()
        told = Marker(position=twin.source.now(), sent_at=now, as_of=now)
        twin.meta.store_markers(dict.fromkeys(range(settings.rabbitmq_queues), told), ages)
        figures = freshness_figures(twin)
        twin.source.client.drop_database(settings.meta_database)
    assert set(figures) == set(FRESHNESS)
    assert all(isinstance(value, int | float) for value in figures.values())
    assert figures["p95_s"] == pytest.approx(0.25, rel=0.05)


@pytest.mark.parametrize("change", [{"lag_s": 9.0}, {"changes_per_s": 3.0}, {"revision": 7}])
def test_lag_and_rate_of_capture_are_no_work(change):
    work = capture_reporting(TwinResource(), quick_settings()).work
    assert work(CaptureProgress()) == work(CaptureProgress(**change))
