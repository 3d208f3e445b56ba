from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from twin_assets.cli.junit import write_junit
from twin_assets.errors import ConfigurationError
from twin_assets.operations.checks import CheckResult

HOSTILE = "str:<&\"'\x00\x1b]]>\ud800 end"
FAILED = CheckResult(
    "qdrant/vector_posts",
    "matches_source",
    passed=False,
    metadata={"missing": 2, "edited": 0, "missing_ids": ["int:1", HOSTILE], "note": "repair it"},
)
PASSED = CheckResult("qdrant/vector_posts", "is_complete", passed=True, metadata={"documents": 3})
NOTED = CheckResult("qdrant/cleaned_posts", "is_caught_up", passed=False, metadata={"note": "down"})


@pytest.fixture
def written(tmp_path: Path) -> ET.Element:
    path = tmp_path / "new folder" / "checks.xml"
    write_junit(path, [FAILED, PASSED, NOTED], seconds=3.0)
    assert path.read_bytes().startswith(b"<?xml version='1.0' encoding='utf-8'?>")
    return ET.parse(path).getroot()


def test_it_is_laid_out_as_every_reader_of_junit_expects(written):
    assert written.tag == "testsuites"
    [suite] = written
    assert suite.tag == "testsuite"
    for element in (written, suite):
        counts = {name: element.get(name) for name in ("tests", "failures", "errors", "skipped")}
        assert counts == {"tests": "3", "failures": "2", "errors": "0", "skipped": "0"}
        assert float(element.get("time", "")) == 3.0
    assert [case.tag for case in suite] == ["testcase"] * 3
    assert sum(float(case.get("time", "")) for case in suite) == pytest.approx(3.0)
    assert {child.tag for case in suite for child in case} == {"failure", "system-out"}


def test_each_check_is_a_case_and_a_failed_one_has_counts_and_ids(written):
    failed, passed, noted = written.iter("testcase")
    assert (failed.get("classname"), failed.get("name")) == ("qdrant.vector_posts", "matches_source")
    failure = failed.find("failure")
    assert failure.get("message") == "missing 2"
    assert failure.get("type") == "matches_source"
    assert "missing_ids: int:1, str:" in failure.text
    assert passed.find("failure") is None
    assert passed.find("system-out").text == "documents: 3"
    assert noted.find("failure").get("message") == "down"


def test_an_id_that_xml_cannot_hold_does_not_break_the_file(written):
    assert "str:<&\"'\ufffd\ufffd]]>\ufffd end" in written.find(".//failure").text


def test_a_file_that_cannot_be_written_is_a_wrong_use(tmp_path: Path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigurationError, match=r"--junit: .* cannot be written"):
        write_junit(tmp_path / "file" / "checks.xml", [PASSED], seconds=1.0)
