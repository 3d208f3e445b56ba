"""How a status reads on a terminal."""

from __future__ import annotations

from twin_assets.cli.status import say_freshness
from twin_assets.operations.freshness import NEVER

IN_STEP = {"age_s": 1.204, "p50_s": 0.082, "p95_s": 0.31, "p99_s": 2.5, "worst_s": 95.0, "samples": 14400}


def test_the_ages_of_the_hour_are_shown_to_a_hundredth_of_a_second(capsys):
    say_freshness({**IN_STEP, "note": ""})
    said = capsys.readouterr().out
    for figure in ("1.20", "0.08", "0.31", "2.50", "95.00", "14400"):
        assert figure in said
    assert "worst" in said


def test_who_is_behind_is_said_below(capsys):
    say_freshness({**IN_STEP, "note": "capture is behind or down: …"})
    assert capsys.readouterr().out.rstrip().endswith("capture is behind or down: …")


def test_before_the_first_marker_there_are_dashes_and_a_reason(capsys):
    say_freshness({**dict.fromkeys(IN_STEP), "samples": 0, "note": NEVER})
    said = capsys.readouterr().out
    assert said.count(" - ") == 5
    assert NEVER in said
