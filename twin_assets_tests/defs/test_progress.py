from __future__ import annotations

import time

import pytest

from twin_assets.defs.progress import capture_reporting, describe_stream, stream_lag_s, stream_reporting
from twin_assets.defs.resources import TwinResource
from twin_assets.models.change import revision_of
from twin_assets.operations.batch import Counts
from twin_assets.operations.capture import CaptureProgress
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


@pytest.mark.parametrize("change", [{"lag_s": 9.0}, {"changes_per_s": 3.0}, {"revision": 7}])
def test_lag_and_rate_of_capture_are_no_work(change):
    work = capture_reporting(TwinResource(), quick_settings()).work
    assert work(CaptureProgress()) == work(CaptureProgress(**change))
