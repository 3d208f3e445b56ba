"""A percentile of the histogram is the exact one, but for the error that is promised."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from twin_assets.models.ages import LONGEST_MS, RELATIVE_ERROR, AgeHistogram, bucket_of, middle_ms

AGES = st.lists(st.floats(0, LONGEST_MS), min_size=1, max_size=200)


def histogram(ages: list[float]) -> AgeHistogram:
    made = AgeHistogram()
    for age_ms in ages:
        made.add(age_ms)
    return made


def exact(ages: list[float], share: float) -> float:
    return sorted(ages)[max(1, math.ceil(share * len(ages))) - 1]


@given(AGES, st.sampled_from([0.01, 0.5, 0.95, 0.99, 1.0]))
def test_a_percentile_is_within_the_promised_error_of_the_exact_one(ages, share):
    wanted = exact(ages, share)
    found = histogram(ages).percentile_ms(share)
    assert found == pytest.approx(wanted, rel=RELATIVE_ERROR + 1e-9, abs=0.5)


@given(AGES)
def test_the_worst_age_is_exact_and_no_percentile_is_above_it(ages):
    made = histogram(ages)
    assert made.worst_ms == max(ages)
    assert made.percentile_ms(1.0) <= max(ages)
    assert made.samples == len(ages)


@given(AGES, AGES)
def test_merging_is_counting_both(left, right):
    merged = histogram(left)
    merged.merge(histogram(right))
    assert merged == histogram(left + right)


@given(st.floats(0, LONGEST_MS), st.integers(1, 5000))
def test_an_age_counted_many_times_is_that_many_ages(age_ms, times):
    made = AgeHistogram()
    made.add(age_ms, times)
    assert made.samples == times
    assert set(made.counts) == {bucket_of(age_ms)}


def test_there_are_few_buckets_however_long_an_outage_lasts():
    assert bucket_of(LONGEST_MS) == 257
    assert histogram([LONGEST_MS * 5]).worst_ms == LONGEST_MS


def test_clocks_that_differ_make_no_negative_age():
    made = histogram([-3000.0])
    assert (made.worst_ms, made.percentile_ms(0.5)) == (0.0, 0.0)


def test_without_ages_there_is_no_percentile():
    assert AgeHistogram().percentile_ms(0.95) is None


@pytest.mark.parametrize("bucket", [1, 8, 100, 257])
def test_the_middle_of_a_bucket_lies_in_it(bucket):
    assert bucket_of(middle_ms(bucket)) == bucket
