"""The workflow that ships main: by roles and make targets, never by keys."""

from __future__ import annotations

import re

import jsonschema
import pytest

from twin_assets_tests.deploy.files import ROOT, read_yaml, schema

WORKFLOW = read_yaml(".github/workflows/deploy.yml")
JOBS = WORKFLOW["jobs"]
STEPS = [step for job in JOBS.values() for step in job["steps"]]
PUBLISHERS = {"actions", "aws-actions", "pulumi"}


def test_it_is_valid_by_githubs_schema() -> None:
    # YAML 1.1 reads the key `on` as true.
    jsonschema.validate(
        {"on" if key is True else key: part for key, part in WORKFLOW.items()}, schema("github-workflows")
    )


def test_every_command_is_a_make_target() -> None:
    targets = set(re.findall(r"^([a-z][\w-]*):", (ROOT / "Makefile").read_text(), flags=re.MULTILINE))
    made = {step["run"].removeprefix("make ") for step in STEPS if "run" in step}
    assert made == {"aws-preview", "image-push", "aws-remember", "aws-up", "aws-verify", "aws-rollback"}
    assert made <= targets


def test_no_key_and_no_secret_is_stored() -> None:
    text = (ROOT / ".github/workflows/deploy.yml").read_text()
    assert "secrets." not in text
    assert "aws-access-key-id" not in text
    assert WORKFLOW["permissions"] == {"contents": "read"}
    assert all(job["permissions"] == {"contents": "read", "id-token": "write"} for job in JOBS.values())
    roles = {step["with"]["role-to-assume"] for step in STEPS if "configure-aws" in step.get("uses", "")}
    assert roles == {f"${{{{ vars.AWS_ROLE_{name} }}}}" for name in ("PREVIEW", "PUSH", "DEPLOY")}


def test_only_what_passed_ci_on_main_is_shipped() -> None:
    trigger = WORKFLOW[True]["workflow_run"]
    assert (trigger["workflows"], trigger["branches"]) == (["ci"], ["main"])
    for condition in ("conclusion == 'success'", "workflow_run.event == 'push'"):
        assert condition in JOBS["image"]["if"]
    assert JOBS["deploy"]["needs"] == "image"
    assert JOBS["deploy"]["environment"] == "production"


def test_a_fork_gets_no_role() -> None:
    assert "head.repo.full_name == github.repository" in JOBS["preview"]["if"]


def test_what_is_shipped_is_the_commit_that_was_tested() -> None:
    commit = "${{ github.event.workflow_run.head_sha }}"
    for name in ("image", "deploy"):
        [checkout] = [s for s in JOBS[name]["steps"] if s.get("uses", "").startswith("actions/checkout@")]
        assert checkout["with"] == {"persist-credentials": False, "ref": commit}
    [push] = [step for step in JOBS["image"]["steps"] if step.get("run") == "make image-push"]
    assert push["env"]["IMAGE"].endswith(f":{commit}")
    assert JOBS["deploy"]["env"]["IMAGE_TAG"] == commit


def test_what_fails_is_taken_back() -> None:
    commands = [step["run"] for step in JOBS["deploy"]["steps"] if "run" in step]
    assert commands == ["make aws-remember", "make aws-up", "make aws-verify", "make aws-rollback"]
    [rollback] = [step for step in JOBS["deploy"]["steps"] if step.get("run") == "make aws-rollback"]
    ids = {step["id"] for step in JOBS["deploy"]["steps"] if "id" in step}
    assert set(re.findall(r"steps\.(\w+)\.outcome == 'failure'", rollback["if"])) == ids == {"up", "verify"}
    assert rollback["if"].startswith("failure()")


def test_a_deployment_is_never_cut_off_by_the_next() -> None:
    assert WORKFLOW["concurrency"]["cancel-in-progress"] is False


@pytest.mark.parametrize("job", sorted(JOBS))
def test_every_job_ends(job: str) -> None:
    assert JOBS[job]["timeout-minutes"] <= 90


def test_every_action_has_a_known_publisher_and_is_pinned_to_a_commit() -> None:
    for step in STEPS:
        if "uses" in step:
            found = re.fullmatch(r"([\w-]+)/[\w-]+@[0-9a-f]{40}", step["uses"])
            assert found, step["uses"]
            assert found[1] in PUBLISHERS
