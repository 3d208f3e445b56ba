"""How old documents are when they become searchable: measured all the time, and beside a clock in hand."""

from __future__ import annotations

import math
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import contextmanager

import pytest

from twin_assets.models.ages import AgeHistogram
from twin_assets.models.kinds import DataType
from twin_assets.operations.bootstrap import ensure_generations
from twin_assets.operations.checks import CheckResult, evaluate_checks
from twin_assets.operations.freshness import NEVER, Part, read_freshness
from twin_assets.operations.status import read_status
from twin_assets.operations.twin import Twin, open_twin
from twin_assets_tests.scenarios.documents import post
from twin_assets_tests.waiting import wait_until

pytestmark = [pytest.mark.servers, pytest.mark.slow]

LIMIT_S = 3.0
CHANGES = 60
MOST_CHANGES = 10 * CHANGES
SETTLED_S = 0.5
# The two look at different moments, which lie apart the more the busier the machine is. What is far outside
# is a wrong unit, a clock of whole seconds, or a moment that is not the commit's.
TOLERANCE_S = 0.25
TOLERANCE = 1.5


@pytest.fixture
def strict(settings):
    """A twin with a limit that a test can wait for."""
    with open_twin(settings.model_copy(update={"lag_slo_s": LIMIT_S})) as opened:
        yield opened


def check(twin: Twin) -> CheckResult:
    return evaluate_checks(twin, names=["is_caught_up"])[0]


def await_check(twin: Twin, *, passed: bool) -> CheckResult:
    def seen() -> CheckResult | None:
        found = check(twin)
        return found if found.passed == passed else None

    return wait_until(seen, what=f"is_caught_up is {passed}")


def age_now(twin: Twin) -> float:
    return read_freshness(twin.meta, twin.settings).age_s or 0.0


@contextmanager
def sampled(twin: Twin):
    """Yield a histogram that holds, at the end, the ages recorded meanwhile."""
    before, found = twin.meta.freshness().ages, AgeHistogram()
    yield found
    after = twin.meta.freshness().ages
    found.counts = Counter(after.counts)
    found.counts.subtract(before.counts)
    found.worst_ms = after.worst_ms  # of more than meanwhile; it only bounds the percentiles


def percentile(times: list[float], share: float) -> float:
    return sorted(times)[max(1, math.ceil(share * len(times))) - 1]


def seconds_until_seen(number: int, documents, chunk_texts: Callable[[DataType, str], list[str]]) -> float:
    documents.posts.insert_one(post(number, f"seen soon, number {number}"))
    committed = time.perf_counter()
    wait_until(lambda: chunk_texts(DataType.POSTS, f"int:{number}"), what="it is searchable", poll_s=0.001)
    return time.perf_counter() - committed


def test_before_the_first_marker_nothing_is_claimed(twin, settings):
    ensure_generations(twin, stop=threading.Event())
    found = check(twin)
    assert not found.passed
    assert found.metadata["note"] == NEVER
    fresh = read_status(settings)["freshness"]
    assert (fresh["age_s"], fresh["p95_s"], fresh["samples"]) == (None, None, 0)
    assert fresh["note"] == NEVER


def test_what_the_markers_measure_is_what_a_clock_in_hand_measures(
    twin, documents, capturing, streaming, in_step, chunk_texts, record_testsuite_property
):
    with capturing(), streaming():
        in_step()
        # The markers that waited for the stream's start are older than all that is measured here.
        wait_until(lambda: 0 < age_now(twin) < SETTLED_S, what="the start is behind us")
        with sampled(twin) as ages:
            before, direct = twin.meta.freshness().ages.samples, []
            # One marker tells of all commits before it: on a fast machine there are fewer than changes.
            while len(direct) < CHANGES or twin.meta.freshness().ages.samples - before < CHANGES:
                assert len(direct) < MOST_CHANGES, "the markers give too few ages"
                direct.append(seconds_until_seen(len(direct), documents, chunk_texts))
            in_step()
    for name, share in (("p50", 0.5), ("p95", 0.95)):
        by_markers = (ages.percentile_ms(share) or 0.0) / 1000
        record_testsuite_property(f"{name}_direct_s", percentile(direct, share))
        record_testsuite_property(f"{name}_by_markers_s", by_markers)
        assert by_markers == pytest.approx(percentile(direct, share), abs=TOLERANCE_S, rel=TOLERANCE)
    assert ages.samples >= CHANGES


def test_ages_are_measured_while_nothing_changes(twin, settings, capturing, streaming, in_step):
    with capturing(), streaming():
        in_step()
        before = read_freshness(twin.meta, settings).samples
        wait_until(
            lambda: read_freshness(twin.meta, settings).samples >= before + 20, what="twenty more ages"
        )
        status = read_status(settings)["freshness"]
    assert 0 < status["p50_s"] <= status["p95_s"] <= status["p99_s"] <= status["worst_s"]
    assert status["age_s"] < 5
    assert status["note"] == ""


def test_a_capture_that_stopped_is_named_and_so_is_its_recovery(
    strict, capturing, streaming, in_step, documents
):
    with streaming():
        with capturing():
            in_step()
            # The marker of the first snapshot tells no age, and nothing else need have come so far.
            documents.posts.insert_one(post(0, "written while somebody captures"))
            in_step()
            assert await_check(strict, passed=True).metadata["samples"] > 0
        failed = await_check(strict, passed=False)
        assert failed.metadata["note"].startswith("capture is behind or down")
        assert failed.metadata["worst_s"] >= failed.metadata["age_s"] > LIMIT_S - 1
        grown = wait_until(lambda: age_now(strict) > 2 * LIMIT_S and age_now(strict), what="the age grows")
        documents.posts.insert_one(post(1, "written while nobody captured"))
        with capturing():
            in_step()
            recovered = await_check(strict, passed=True)
    # What nobody measured while capture was away is counted: a quiet end does not wash it out.
    assert recovered.metadata["worst_s"] > grown - 1
    assert recovered.metadata["p99_s"] > LIMIT_S / 2


def test_a_stream_that_stopped_is_named_while_capture_goes_on(strict, capturing, streaming, in_step):
    with capturing():
        with streaming():
            in_step()
            await_check(strict, passed=True)
        failed = await_check(strict, passed=False)
        wait_until(lambda: age_now(strict) > 2 * LIMIT_S, what="the age grows")
        assert failed.metadata["note"].startswith("the stream is behind or down")
        # Long after capture has ceased to fill the queues with markers that nobody takes.
        wait_until(lambda: age_now(strict) > 4 * LIMIT_S, what="the age grows on")
        assert read_freshness(strict.meta, strict.settings).slower is Part.STREAM
