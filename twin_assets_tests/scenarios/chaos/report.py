"""Pytest plugin of `make chaos`: the table of all scenarios, printed and kept as JSON."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from twin_assets_tests.scenarios.chaos.tally import ROW

RESULTS = Path(__file__).parents[3] / "benchmarks" / "results"
HEADINGS = ("faults", "changes", "lost", "duplicated", "stale", "resurrected", "recovery_s")


def pytest_terminal_summary(terminalreporter: Any) -> None:
    rows = collected(terminalreporter)
    if not rows:
        return
    width = max(len(row["scenario"]) for row in rows)
    terminalreporter.section("chaos")
    terminalreporter.line("  ".join([" " * width, *HEADINGS, "outcome"]))
    for row in rows:
        figures = [str(row[heading]).rjust(len(heading)) for heading in HEADINGS]
        terminalreporter.line("  ".join([row["scenario"].ljust(width), *figures, row["outcome"]]))
    totals = {heading: sum(row[heading] for row in rows) for heading in HEADINGS[:-1]}
    slowest = max(row["recovery_s"] for row in rows)
    figures = [str(totals[heading]).rjust(len(heading)) for heading in HEADINGS[:-1]]
    terminalreporter.line("  ".join(["all".ljust(width), *figures, str(slowest).rjust(len(HEADINGS[-1]))]))
    terminalreporter.line(f"kept in {keep(rows, totals, slowest)}")


def collected(terminalreporter: Any) -> list[dict[str, Any]]:
    """Return the scenarios' rows with their outcomes, from whichever process ran them."""
    reports = [
        report
        for outcome in ("", "passed", "failed", "error")  # rows come with the teardown, which counts as ""
        for report in terminalreporter.stats.get(outcome, [])
        if isinstance(report, pytest.TestReport)
    ]
    failed = {report.nodeid for report in reports if report.failed}
    rows = {
        report.nodeid: {**dict(report.user_properties)[ROW]}
        for report in reports
        if ROW in dict(report.user_properties)
    }
    for nodeid, row in rows.items():
        row["outcome"] = "failed" if nodeid in failed else "passed"
    return [rows[nodeid] for nodeid in sorted(rows)]


def keep(rows: list[dict[str, Any]], totals: dict[str, int], slowest: float) -> Path:
    """Write one JSON file and return its path."""
    now = datetime.now(UTC)
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"chaos-{now:%Y-%m-%dT%H%M%S}.json"
    record = {"at": now.isoformat(timespec="seconds"), "scenarios": rows, "all": totals}
    path.write_text(json.dumps(record | {"slowest_recovery_s": slowest}, indent=2) + "\n")
    return path
