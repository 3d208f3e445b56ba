from __future__ import annotations

import re

import jsonschema
import pytest

from twin_assets_tests.deploy.files import ROOT, read_yaml, schema

WORKFLOW = read_yaml(".github/workflows/ci.yml")
NIGHTLY = ("chaos", "soak")
STEPS = [step for job in WORKFLOW["jobs"].values() for step in job["steps"]]


def test_it_is_valid_by_githubs_schema() -> None:
    # YAML 1.1 reads the key `on` as true.
    jsonschema.validate(
        {"on" if key is True else key: part for key, part in WORKFLOW.items()}, schema("github-workflows")
    )


def test_it_calls_the_make_targets_that_a_person_calls() -> None:
    targets = set(re.findall(r"^([a-z][\w-]*):", (ROOT / "Makefile").read_text(), flags=re.MULTILINE))
    commands = [step["run"] for step in STEPS if "run" in step]
    made = {command.removeprefix("make ") for command in commands if command.startswith("make ")}
    assert {"lint", "test", "chaos", "audit", "image", "image-scan", "compose-test"} <= made <= targets
    assert all(command.startswith("make ") for command in commands)


def test_the_image_is_built_with_the_layers_of_the_build_before() -> None:
    steps = WORKFLOW["jobs"]["image"]["steps"]
    [cache] = [step["with"] for step in steps if step.get("uses", "").startswith("actions/cache@")]
    [build] = [step for step in steps if step.get("run") == "make image"]
    assert build["env"]["CACHE"] == cache["path"]
    assert cache["key"].startswith(cache["restore-keys"])


def test_every_action_is_pinned_to_a_commit_and_says_which_version_that_is() -> None:
    lines = re.findall(r"uses: (.*)", (ROOT / ".github/workflows/ci.yml").read_text())
    assert len(lines) == len([step for step in STEPS if "uses" in step])
    assert all(re.fullmatch(r"(actions|docker)/[\w-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", line) for line in lines)


def test_it_may_read_and_nothing_else() -> None:
    assert WORKFLOW["permissions"] == {"contents": "read"}
    checkouts = [step for step in STEPS if step.get("uses", "").startswith("actions/checkout@")]
    assert all(step["with"]["persist-credentials"] is False for step in checkouts)


@pytest.mark.parametrize("job", sorted(WORKFLOW["jobs"]))
def test_every_job_ends(job: str) -> None:
    limit = 180 if job in NIGHTLY else 60
    assert WORKFLOW["jobs"][job]["timeout-minutes"] <= limit


def test_the_slow_faults_run_every_night_and_only_then() -> None:
    assert WORKFLOW[True]["schedule"]
    [chaos] = [step for step in WORKFLOW["jobs"]["chaos"]["steps"] if step.get("run") == "make chaos"]
    assert int(chaos["env"]["TWIN_TEST_MEMORY_MINUTES"]) == 60
    for job in NIGHTLY:
        assert WORKFLOW["jobs"][job]["if"] == "github.event_name == 'schedule'"


def test_known_vulnerabilities_are_looked_for_on_every_push_and_every_night() -> None:
    audit = WORKFLOW["jobs"]["audit"]
    assert [step["run"] for step in audit["steps"] if "run" in step] == ["make audit"]
    # A vulnerability that became known meanwhile is not the fault of whoever proposes a change.
    assert audit["if"] == "github.event_name != 'pull_request'"
    assert not {"continue-on-error", "needs"} & audit.keys()


def test_a_newer_push_replaces_the_older_run() -> None:
    assert WORKFLOW["concurrency"]["cancel-in-progress"] is True


def test_it_pushes_no_image() -> None:
    assert "push" not in " ".join(step.get("run", "") for step in STEPS)
