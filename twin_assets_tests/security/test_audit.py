"""The judgement on pip-audit's report: nothing passes without a reason, no reason outlives its cause."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from twin_assets_tests.deploy.files import ROOT

SCRIPT = ROOT / "scripts" / "audit.py"
ALLOWED = '[[allowed]]\nid = "{id}"\nreason = "{reason}"\n'
VULNERABILITY = {"id": "PYSEC-2099-1", "aliases": ["CVE-2099-1", "GHSA-x"], "fix_versions": ["1.1"]}


def package(name: str, *found: dict[str, Any]) -> dict[str, Any]:
    return {"name": name, "version": "1.0", "vulns": list(found)}


def audit(tmp_path: Path, *packages: dict[str, Any], allowed: str = "") -> tuple[int, str]:
    """Return the exit code and everything that was said."""
    (tmp_path / "allowed.toml").write_text(allowed)
    (tmp_path / "report.json").write_text(json.dumps({"dependencies": packages, "fixes": []}))
    return run("--report", str(tmp_path / "report.json"), "--allowed", str(tmp_path / "allowed.toml"))


def run(*arguments: str) -> tuple[int, str]:
    command = [sys.executable, str(SCRIPT), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert "Traceback" not in done.stderr
    return done.returncode, done.stdout + done.stderr


def test_packages_without_known_vulnerabilities_are_clean(tmp_path: Path) -> None:
    code, said = audit(tmp_path, package("a"), package("b"))
    assert code == 0
    assert said == "audit: 0 findings, 0 allowed, 0 things to do\n"


def test_a_vulnerability_that_nobody_allowed_fails_and_says_what_mends_it(tmp_path: Path) -> None:
    code, said = audit(tmp_path, package("a", VULNERABILITY), package("b"))
    assert code == 1
    assert "NEW a 1.0: PYSEC-2099-1, mended in 1.1" in said


@pytest.mark.parametrize("name", ["PYSEC-2099-1", "CVE-2099-1"])
def test_one_that_is_allowed_by_any_of_its_names_passes(tmp_path: Path, name: str) -> None:
    allowed = ALLOWED.format(id=name, reason="a: we do not use that part")
    assert audit(tmp_path, package("a", VULNERABILITY), allowed=allowed)[0] == 0


def test_allowing_one_allows_no_other(tmp_path: Path) -> None:
    other = {"id": "PYSEC-2099-2", "aliases": [], "fix_versions": []}
    allowed = ALLOWED.format(id="PYSEC-2099-1", reason="a: we do not use that part")
    code, said = audit(tmp_path, package("a", VULNERABILITY, other), allowed=allowed)
    assert code == 1
    assert "PYSEC-2099-2, mended in no version yet" in said
    assert "NEW a 1.0: PYSEC-2099-1" not in said


def test_one_that_is_allowed_but_gone_has_to_leave_the_list(tmp_path: Path) -> None:
    allowed = ALLOWED.format(id="CVE-2099-1", reason="a: we do not use that part")
    code, said = audit(tmp_path, package("a"), allowed=allowed)
    assert code == 1
    assert "STALE CVE-2099-1" in said


@pytest.mark.parametrize("allowed", [ALLOWED.format(id="CVE-1", reason=" "), '[[allowed]]\nid = "CVE-1"\n'])
def test_an_entry_without_a_reason_is_no_audit(tmp_path: Path, allowed: str) -> None:
    code, said = audit(tmp_path, package("a"), allowed=allowed)
    assert code == 2
    assert "CVE-1 has no id or no reason" in said


def test_a_package_that_was_not_judged_needs_a_reason_too(tmp_path: Path) -> None:
    packages = {"name": "a", "skip_reason": "not on PyPI"}, package("b")
    code, said = audit(tmp_path, *packages)
    assert code == 1
    assert "unjudged:a, not on PyPI" in said
    assert audit(tmp_path, *packages, allowed=ALLOWED.format(id="unjudged:a", reason="our own"))[0] == 0


def test_a_report_that_judged_nothing_is_no_clean_audit(tmp_path: Path) -> None:
    skipped = [{"name": name, "skip_reason": "not found on PyPI"} for name in "ab"]
    code, said = audit(tmp_path, *skipped)
    assert code == 2
    assert "judged none of 2 packages" in said
    assert audit(tmp_path)[0] == 2


@pytest.mark.parametrize("report", ["", "no JSON", "[]", "{}", '{"dependencies": [{"vulns": [{}]}]}'])
def test_a_report_that_cannot_be_read_is_no_audit(tmp_path: Path, report: str) -> None:
    (tmp_path / "report.json").write_text(report)
    assert run("--report", str(tmp_path / "report.json"))[0] == 2


@pytest.mark.parametrize(
    ("does", "said"), [("echo 'no such host' >&2; exit 1", "no such host"), ("exit 0", "it said nothing")]
)
def test_a_service_that_does_not_answer_is_no_clean_audit(tmp_path: Path, does: str, said: str) -> None:
    program = tmp_path / "pip-audit"
    program.write_text(f"#!/bin/sh\n{does}\n")
    program.chmod(0o755)
    assert run("--program", str(program)) == (2, f"audit: pip-audit gave no report: {said}\n")


def test_it_is_run_on_every_pin_and_on_nothing_else(tmp_path: Path) -> None:
    program = tmp_path / "pip-audit"
    report = json.dumps({"dependencies": [package("a")]})
    program.write_text(f"#!/bin/sh\necho $@ > {tmp_path}/called\necho '{report}'\n")
    program.chmod(0o755)
    assert run("--program", str(program))[0] == 0
    called = (tmp_path / "called").read_text()
    assert f"--requirement {ROOT / 'constraints.txt'} --no-deps --disable-pip --format json" in called


def test_our_own_list_gives_reasons(tmp_path: Path) -> None:
    report = tmp_path / "report.json"
    report.write_text(json.dumps({"dependencies": [package("a")]}))
    code, said = run("--report", str(report))
    assert code in {0, 1}, said
