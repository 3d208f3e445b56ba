"""Looks for known vulnerabilities in the pinned packages, and judges them by a list of those allowed.

The list gives a reason for each. Exit codes: 0 clean, 1 something to do, 2 no audit took place.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
CLEAN, TO_DO, NO_AUDIT = 0, 1, 2


class NoAuditError(Exception):
    """Raised when there is nothing to judge: no report, or a list that says nothing."""


@dataclass(frozen=True)
class Finding:
    """A known vulnerability of a pinned package, or `unjudged:PACKAGE`; `names` are id and aliases."""

    package: str
    version: str
    id: str
    names: frozenset[str]
    remedy: str

    def __str__(self) -> str:
        return f"{self.package} {self.version}: {self.id}, {self.remedy}"


def read_allowed(path: Path) -> dict[str, str]:
    """Return the reason by id. Raises NoAuditError where one has none."""
    entries = tomllib.loads(path.read_text()).get("allowed", [])
    allowed = {entry.get("id", ""): entry.get("reason", "") for entry in entries}
    if nameless := [name or "an entry" for name, reason in allowed.items() if not (name and reason.strip())]:
        raise NoAuditError(f"{path.name}: {', '.join(nameless)} has no id or no reason")
    return allowed


def read_findings(report: str) -> list[Finding]:
    """Return what pip-audit's JSON found. Raises NoAuditError where it judged nothing at all."""
    try:
        packages = json.loads(report)["dependencies"]
        findings = [found for each in packages for found in _findings_of(each)]
    except (ValueError, KeyError, TypeError) as error:
        raise NoAuditError(f"pip-audit's report cannot be read ({type(error).__name__})") from error
    if all("skip_reason" in each for each in packages):
        # So it looks behind a mirror that has the packages, but not what is known about them.
        raise NoAuditError(f"pip-audit judged none of {len(packages)} packages; can it reach its service?")
    return findings


def _findings_of(package: Mapping[str, Any]) -> list[Finding]:
    name = package["name"]
    if "skip_reason" in package:
        unjudged = f"unjudged:{name}"
        return [Finding(name, "", unjudged, frozenset([unjudged]), package["skip_reason"])]
    return [
        Finding(
            package=name,
            version=package["version"],
            id=found["id"],
            names=frozenset([found["id"], *found.get("aliases", [])]),
            remedy=f"mended in {', '.join(found.get('fix_versions', [])) or 'no version yet'}",
        )
        for found in package["vulns"]
    ]


def judge(findings: list[Finding], allowed: Mapping[str, str]) -> list[str]:
    """Return a line for each thing to do."""
    known = {name for finding in findings for name in finding.names}
    unlisted = [f"NEW {finding}" for finding in findings if not finding.names & allowed.keys()]
    stale = [f"STALE {name} is allowed, but no package has it: remove it" for name in allowed.keys() - known]
    return sorted({*unlisted, *stale})


def run_pip_audit(program: str, constraints: Path) -> str:
    """Return pip-audit's JSON report on the pins alone. Raises NoAuditError where there is none."""
    command = [program, "--requirement", str(constraints), "--no-deps", "--disable-pip", "--format", "json"]
    command += ["--progress-spinner", "off"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except OSError as error:
        raise NoAuditError(f"{program} cannot be run ({error.strerror})") from error
    if not done.stdout.strip():
        last = (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
        raise NoAuditError(f"pip-audit gave no report: {last}")
    return done.stdout


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--program", default="pip-audit")
    parser.add_argument("--constraints", type=Path, default=HERE.parent / "constraints.txt")
    parser.add_argument("--allowed", type=Path, default=HERE / "audit_allowed.toml")
    parser.add_argument("--report", type=Path, help="judge this JSON report, and do not run pip-audit")
    given = parser.parse_args()
    try:
        allowed = read_allowed(given.allowed)
        report = given.report.read_text() if given.report else run_pip_audit(given.program, given.constraints)
        findings = read_findings(report)
    except NoAuditError as error:
        print(f"audit: {error}", file=sys.stderr)
        return NO_AUDIT
    to_do = judge(findings, allowed)
    for line in to_do:
        print(line)
    print(f"audit: {len(findings)} findings, {len(allowed)} allowed, {len(to_do)} things to do")
    return TO_DO if to_do else CLEAN


if __name__ == "__main__":
    sys.exit(main())
