"""How old documents are when they become searchable: measured all the time, and beside a clock in hand."""

from __future__ import annotations

import math
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import contextmanager
from typing import Any

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
BEAT_S = 0.2
LONG_S = 180.0
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


def await_check(twin: Twin, *, passed: bool, note: str = "") -> CheckResult:
    def seen() -> CheckResult | None:
        found = check(twin)
        is_it = found.passed == passed and str(found.metadata.get("note", "")).startswith(note)
        return found if is_it else None

    return wait_until(seen, what=f"is_caught_up is {passed}: {note}")


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


class ClockInHand:
    """Inserts a post on every beat, as markers come, and measures how long after its commit each is seen.

    What is slow for a while is then seen as often by the one as by the others.
    """

    def __init__(self, documents: Any, chunk_texts: Callable[[DataType, str], list[str]]) -> None:
        self.ages: list[float] = []
        self._documents = documents
        self._chunk_texts = chunk_texts
        self._committed: dict[int, float] = {}
        self._began = time.perf_counter()

    def look(self) -> None:
        """Insert the next post, if it is time, and look for those that have not been seen yet."""
        number = len(self.ages) + len(self._committed)
        if time.perf_counter() - self._began >= number * BEAT_S:
            self._documents.posts.insert_one(post(number, f"seen soon, number {number}"))
            self._committed[number] = time.perf_counter()
        for number, committed in list(self._committed.items()):
            if self._chunk_texts(DataType.POSTS, f"int:{number}"):
                self.ages.append(time.perf_counter() - committed)
                del self._committed[number]


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
        wait_until(lambda: 0 < age_now(twin) < SETTLED_S, what="the start is behind us", limit_s=LONG_S)
        with sampled(twin) as ages:
            clock = ClockInHand(documents, chunk_texts)
            before = twin.meta.freshness().ages.samples

            def is_enough() -> bool:
                clock.look()
                return len(clock.ages) >= CHANGES and twin.meta.freshness().ages.samples - before >= CHANGES

            wait_until(is_enough, what="ages of both", limit_s=LONG_S, poll_s=0.001)
            in_step()
    for name, share in (("p50", 0.5), ("p95", 0.95)):
        by_markers = (ages.percentile_ms(share) or 0.0) / 1000
        record_testsuite_property(f"{name}_direct_s", percentile(clock.ages, share))
        record_testsuite_property(f"{name}_by_markers_s", by_markers)
        assert by_markers == pytest.approx(percentile(clock.ages, share), abs=TOLERANCE_S, rel=TOLERANCE)
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
        failed = await_check(strict, passed=False, note="capture is behind or down")
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
        await_check(strict, passed=False, note="the stream is behind or down")
        wait_until(lambda: age_now(strict) > 2 * LIMIT_S, what="the age grows")
        # Long after capture has ceased to fill the queues with markers that nobody takes.
        wait_until(lambda: age_now(strict) > 4 * LIMIT_S, what="the age grows on")
        assert read_freshness(strict.meta, strict.settings).slower is Part.STREAM
