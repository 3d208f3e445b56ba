"""The checks as a JUnit XML file, the form in which every CI system shows results."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from xml.etree.ElementTree import Element, ElementTree, SubElement, indent

from twin_assets.errors import ConfigurationError
from twin_assets.operations.checks import CheckResult

# XML 1.0 has no way at all to say these, and an `_id` may hold them.
_IMPOSSIBLE = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_REPLACEMENT = "\ufffd"
SUITE = "twin check"


def write_junit(path: Path, results: Sequence[CheckResult], *, seconds: float) -> None:
    """Write one test case per check of a collection. Raises ConfigurationError where the file cannot be."""
    root = Element("testsuites")
    suite = SubElement(root, "testsuite")
    failures = sum(not result.passed for result in results)
    counts = {"tests": len(results), "failures": failures, "errors": 0, "skipped": 0}
    for element in (root, suite):
        element.set("name", SUITE)
        element.set("time", f"{seconds:.3f}")
        for name, count in counts.items():
            element.set(name, str(count))
    suite.set("timestamp", datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S"))
    for result in results:
        _add_case(suite, result, seconds=seconds / len(results))
    indent(root)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        ElementTree(root).write(path, encoding="utf-8", xml_declaration=True)
    except OSError as error:
        raise ConfigurationError(f"--junit: {path} cannot be written ({error.strerror})") from error


def _add_case(suite: Element, result: CheckResult, *, seconds: float) -> None:
    case = SubElement(suite, "testcase")
    case.set("classname", _storable(result.asset.replace("/", ".")))
    case.set("name", _storable(result.check))
    # The checks of a collection share one audit, so that only their sum can be measured.
    case.set("time", f"{seconds:.3f}")
    details = "\n".join(f"{name}: {_shown(value)}" for name, value in result.metadata.items())
    if result.passed:
        SubElement(case, "system-out").text = _storable(details)
        return
    failure = SubElement(case, "failure", type=_storable(result.check))
    failure.set("message", _storable(_in_short(result)))
    failure.text = _storable(details)


def _in_short(result: CheckResult) -> str:
    """Say what was counted, the figures with ids first, or else what there is to do."""
    counted = [
        f"{name} {value}"
        for name, value in result.metadata.items()
        if value and f"{name}_ids" in result.metadata
    ]
    return ", ".join(counted) or str(result.metadata.get("note", "failed"))


def _shown(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def _storable(text: str) -> str:
    return _IMPOSSIBLE.sub(_REPLACEMENT, text)
