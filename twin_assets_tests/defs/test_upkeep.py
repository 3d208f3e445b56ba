from __future__ import annotations

from typing import Any

import pytest
from dagster import DagsterRunStatus as Status

from twin_assets.defs.upkeep import LONGEST_PAUSE_S, Decision, RunView, Upkeep, pause_after

NOW = 10_000.0
LIMIT = 30.0
CAPTURE = Upkeep(shares=["capture"], limit_s=LIMIT)
TWO_STREAMS = Upkeep(shares=["stream-0", "stream-1"], limit_s=LIMIT, replicas="2")


def a_run(status: Status, *, share: str = "capture", run_id: str = "r1", **known: Any) -> RunView:
    return RunView(run_id=run_id, share=share, status=status, **({"changed_s": NOW - 1} | known))


def working(*, started: float = 100, beat: float | None = 2, **known: Any) -> RunView:
    """A started run, by how many seconds ago it started and beat."""
    beat_s = None if beat is None else NOW - beat
    return a_run(Status.STARTED, started_s=NOW - started, beat_s=beat_s, **known)


def failed(*, ended: float, lived: float = 3, run_id: str = "f", **known: Any) -> RunView:
    """A failed run, by how many seconds ago it ended and how long it lived."""
    end_s = NOW - ended
    return a_run(
        Status.FAILURE, run_id=run_id, changed_s=end_s, started_s=end_s - lived, ended_s=end_s, **known
    )


def decide(upkeep: Upkeep, *runs: RunView) -> Decision:
    return upkeep.decide(runs, now_s=NOW, error_of=lambda run_id: f"error of {run_id}")


def test_nothing_runs_so_one_is_missing():
    assert decide(CAPTURE).missing == ["capture"]
    assert decide(TWO_STREAMS).missing == ["stream-0", "stream-1"]


@pytest.mark.parametrize(
    "run",
    [
        working(),
        working(started=10, beat=None),
        a_run(Status.QUEUED, changed_s=NOW - 100_000),
        a_run(Status.NOT_STARTED, changed_s=NOW - 3),
        a_run(Status.STARTING, changed_s=NOW - 89),
        a_run(Status.CANCELING, started_s=NOW - 50, beat_s=NOW - 20),
        working(started=3, beat=100),
    ],
    ids=["beats", "just started", "queued", "created", "starting", "finishing", "beat of an earlier attempt"],
)
def test_an_active_run_is_left_alone(run):
    decision = decide(CAPTURE, run)
    assert (decision.missing, decision.dead, decision.surplus) == ([], [], [])
    assert len(decision.notes) == 1


@pytest.mark.parametrize(
    ("run", "why"),
    [
        (working(beat=31), "no sign of life for 31 s"),
        (working(started=31, beat=None), "no sign of life for 31 s"),
        (a_run(Status.CANCELING, started_s=NOW - 500, beat_s=NOW - 40), "no sign of life for 40 s"),
        (a_run(Status.STARTING, changed_s=NOW - 91), "did not start within 91 s"),
        (a_run(Status.NOT_STARTED, changed_s=NOW - 91), "did not start within 91 s"),
    ],
    ids=["silent", "never beat", "killed while ending", "lost while starting", "lost before"],
)
def test_a_dead_run_is_given_up_and_replaced_in_the_same_tick(run, why):
    decision = decide(CAPTURE, run)
    assert [finding.run for finding in decision.dead] == [run]
    assert why in decision.dead[0].reason
    assert decision.missing == ["capture"]


def test_only_the_missing_share_is_started():
    decision = decide(TWO_STREAMS, working(share="stream-0", replicas="2"))
    assert decision.missing == ["stream-1"]
    assert "stream-0" in decision.notes[0]


@pytest.mark.parametrize(
    "over",
    [
        a_run(Status.SUCCESS, started_s=NOW - 900, ended_s=NOW - 1),
        a_run(Status.CANCELED, started_s=NOW - 5, ended_s=NOW - 1),
        failed(ended=1, lived=61),
        failed(ended=5),
    ],
    ids=["ended itself", "terminated", "failed after long work", "first fast failure, 5 s ago"],
)
def test_what_is_over_is_followed_by_the_next(over):
    assert decide(CAPTURE, over).missing == ["capture"]


def test_fast_failures_are_followed_by_a_growing_pause_that_names_the_last_error():
    runs = [failed(ended=8 + 10 * back, run_id=f"f{back}") for back in range(3)]
    decision = decide(CAPTURE, *reversed(runs))
    assert decision.missing == []
    assert decision.notes == ["capture: waiting 12 s after 3 fast failures: last error: error of f0"]


def test_the_pause_is_over_in_time():
    assert decide(CAPTURE, *[failed(ended=20 + back) for back in range(3)]).missing == ["capture"]


def test_a_success_in_between_ends_the_row_of_failures():
    runs = [
        failed(ended=6),
        a_run(Status.SUCCESS, changed_s=NOW - 20, started_s=NOW - 30, ended_s=NOW - 20),
        failed(ended=40),
        failed(ended=50),
    ]
    assert decide(CAPTURE, *runs).missing == ["capture"]


def test_failures_of_one_share_do_not_hold_up_another():
    runs = [failed(ended=1 + back, share="stream-0") for back in range(5)]
    assert decide(TWO_STREAMS, *runs).missing == ["stream-1"]


def test_runs_that_die_soon_after_each_start_are_paused_too():
    dying = working(started=45, beat=40, run_id="dying")
    earlier = [failed(ended=60 + 50 * back, run_id=f"f{back}", lived=40) for back in range(5)]
    decision = decide(CAPTURE, dying, *earlier)
    assert [finding.run.run_id for finding in decision.dead] == ["dying"]
    assert decision.missing == []
    assert "6 fast failures" in decision.notes[0]


def test_pauses_double_up_to_five_minutes():
    assert [pause_after(count) for count in range(6)] == [0, 5, 10, 20, 40, 80]
    assert pause_after(10) == pause_after(10_000) == LONGEST_PAUSE_S == 300


@pytest.mark.parametrize(
    ("run", "why"),
    [
        (working(share="stream-5", replicas="2"), "not among the 2 desired"),
        (working(share="stream-0", replicas="3"), "were 3 and are 2 now"),
    ],
)
def test_a_run_of_another_number_of_replicas_is_asked_to_end(run, why):
    decision = decide(TWO_STREAMS, run)
    assert [finding.run for finding in decision.surplus] == [run]
    assert why in decision.surplus[0].reason


def test_of_two_started_runs_of_a_share_the_later_one_is_asked_to_end():
    first, second = working(run_id="first", started=500), working(run_id="second", started=20)
    decision = decide(CAPTURE, second, first)
    assert [finding.run.run_id for finding in decision.surplus] == ["second"]
    assert "held by run first" in decision.surplus[0].reason


def test_a_queued_rival_may_wait_for_its_turn():
    assert decide(CAPTURE, working(), a_run(Status.QUEUED, run_id="r2")).surplus == []


def test_the_note_says_how_long_it_runs_and_how_it_does():
    run = working(run_id="0123456789", started=7384, beat=3, progress="lag 0.4 s, 12 documents")
    assert decide(CAPTURE, run).notes == [
        "capture (run 01234567) running for 2 h 3 min, last beat 3 s ago, lag 0.4 s, 12 documents"
    ]


def test_the_note_on_a_queued_run_says_that_it_waits():
    run = a_run(Status.QUEUED, run_id="0123456789", changed_s=NOW - 7)
    assert decide(CAPTURE, run).notes == ["capture (run 01234567) is queued since 7 s"]
