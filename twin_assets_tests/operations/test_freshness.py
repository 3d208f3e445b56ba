"""What markers tell, on a clock of the test's own."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from twin_assets.models.ages import AgeHistogram, FreshnessRecord
from twin_assets.models.change import Marker
from twin_assets.operations.freshness import AgeMeter, Freshness, Part, freshness_of, moments_missed

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
EVERY = timedelta(seconds=2)


def after(seconds: float) -> datetime:
    return NOON + timedelta(seconds=seconds)


def marker(as_of: datetime | None) -> Marker:
    return Marker(position=1, sent_at=NOON, as_of=as_of)


def record(
    now: datetime,
    *,
    published: datetime | None = None,
    applied: dict[int, datetime] | None = None,
    ages: AgeHistogram | None = None,
    since: datetime | None = None,
) -> FreshnessRecord:
    return FreshnessRecord(now, published, applied or {}, ages or AgeHistogram(), since)


def fresh(found: FreshnessRecord, queues: int = 2) -> Freshness:
    return freshness_of(found, queues=queues, interval=EVERY)


def ages_of(*ages_s: float) -> AgeHistogram:
    made = AgeHistogram()
    for age_s in ages_s:
        made.add(age_s * 1000)
    return made


def test_each_marker_is_an_age_also_where_a_round_has_several():
    meter = AgeMeter({}, 2.0)
    ages = meter.measure([(0, marker(after(0))), (0, marker(after(2))), (1, marker(after(2)))], after(3))
    assert (ages.samples, ages.worst_ms) == (3, 3000.0)


def test_markers_of_a_former_version_tell_nothing():
    assert AgeMeter({}, 2.0).measure([(0, marker(None))], NOON).samples == 0


def test_a_marker_that_comes_late_or_a_little_early_misses_no_moment():
    meter = AgeMeter({0: NOON}, 2.0)
    assert meter.measure([(0, marker(after(3.9)))], after(4)).samples == 1
    assert meter.measure([(0, marker(after(4.1)))], after(4.2)).samples == 1


def test_an_outage_counts_with_all_the_moments_that_waited_for_its_end():
    ages = AgeMeter({0: NOON}, 2.0).measure([(0, marker(after(600)))], after(601))
    assert ages.samples == 300
    assert ages.worst_ms == pytest.approx(599_000)
    assert ages.percentile_ms(0.5) == pytest.approx(300_000, rel=0.05)


def test_a_marker_that_comes_again_reopens_no_gap():
    meter = AgeMeter({0: NOON}, 2.0)
    meter.measure([(0, marker(after(2)))], after(2))
    assert meter.measure([(0, marker(after(1)))], after(3)).samples == 1
    assert meter.measure([(0, marker(after(4)))], after(4)).samples == 1


def test_no_outage_fills_in_more_than_an_hour():
    assert len(list(moments_missed(NOON, NOON + timedelta(days=3), EVERY))) == 1799


def test_before_the_first_markers_nothing_is_known():
    found = fresh(record(NOON, applied={0: NOON}))
    assert (found.age_s, found.p95_s, found.worst_s, found.samples) == (None, None, None, 0)
    assert not found.is_late(30)
    assert found.figures() == {"samples": 0}


def test_in_step_the_age_is_that_of_the_slowest_queue():
    applied = {0: after(9), 1: after(8.5), 7: after(-5000)}
    found = fresh(record(after(10), published=after(9), applied=applied, ages=ages_of(0.1, 0.2)))
    assert found.age_s == 1.5
    assert found.samples == 2
    assert found.worst_s == 1.5
    assert not found.is_late(30)
    assert found.note(30) == ""


def test_a_dead_capture_makes_the_age_grow_and_is_named():
    applied = dict.fromkeys((0, 1), NOON)
    found = fresh(record(after(100), published=NOON, applied=applied, ages=ages_of(*[0.1] * 1800)))
    assert (found.age_s, found.worst_s) == (100, 100)
    assert found.slower is Part.CAPTURE
    assert found.is_late_now(30)
    assert found.note(30).startswith("capture is behind or down: nothing of the last 100 s")
    assert found.p99_s > 50


def test_a_dead_stream_is_named_while_capture_goes_on():
    found = fresh(record(after(100), published=after(99), applied=dict.fromkeys((0, 1), NOON)))
    assert found.slower is Part.STREAM
    assert found.note(30).startswith("the stream is behind or down: 99 s")


def test_a_capture_that_begins_anew_and_has_published_nothing_yet_is_what_is_waited_for():
    found = fresh(record(after(100), published=None, applied=dict.fromkeys((0, 1), NOON)))
    assert found.slower is Part.CAPTURE


@pytest.mark.parametrize(("minutes", "is_late"), [(49, False), (51, True)])
def test_a_percentile_is_judged_once_it_speaks_of_an_hour(minutes, is_late):
    now = NOON + timedelta(minutes=minutes)
    ages = ages_of(*[40.0] * 6, *[0.1] * 94)
    found = fresh(record(now, published=now, applied=dict.fromkeys((0, 1), now), ages=ages, since=NOON))
    assert found.is_late(30) == is_late
    assert not found.is_late_now(30)
    assert ("caught up now" in found.note(30)) == is_late


def test_five_per_cent_of_an_hour_may_be_late():
    now = NOON + timedelta(minutes=59)
    ages = ages_of(*[40.0] * 5, *[0.1] * 95)
    found = fresh(record(now, published=now, applied=dict.fromkeys((0, 1), now), ages=ages, since=NOON))
    assert not found.is_late(30)
    assert found.p99_s == pytest.approx(40, rel=0.05)


def test_a_clock_that_is_behind_makes_no_negative_age():
    found = fresh(record(NOON, published=after(5), applied=dict.fromkeys((0, 1), after(3))))
    assert (found.age_s, found.unpublished_s) == (0, 0)
