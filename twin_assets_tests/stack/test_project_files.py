"""The files at the root by which people and CI drive the project."""

from __future__ import annotations

import re
import shutil
import subprocess
import tomllib
from importlib.util import find_spec
from itertools import chain
from pathlib import Path

import pytest
import yaml
from dagster import DagsterInstance

ROOT = Path(__file__).parents[2]
TARGETS = {
    *("help", "setup", "demo", "test", "lint", "lint-workflows", "check", "audit", "chaos", "soak", "bench"),
    *("aws-test", "aws-preview", "aws-remember", "aws-up", "aws-prepare", "aws-verify", "aws-rollback"),
    *("image", "image-push", "image-scan", "image-test", "compose-test"),
    *("up", "down", "dev", "clean"),
    *("local-start-infra", "local-start-cdc", "local-bytewax", "local-insert-data-mongo"),
}
SCRIPTS = [*sorted((ROOT / "scripts").glob("*.sh")), ROOT / ".ci" / "run"]


def test_dagster_accepts_the_instance_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copy(ROOT / "dagster.yaml", tmp_path)
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path))
    with DagsterInstance.get() as instance:
        limits = instance.get_concurrency_config()
        assert not instance.telemetry_enabled
        assert not instance.nux_enabled
        assert not instance.run_retries_enabled
        assert instance.run_monitoring_enabled
    assert limits.pool_config.default_pool_limit == 1
    assert limits.run_queue_config is not None
    assert limits.run_queue_config.tag_concurrency_limits == [
        {"key": "twin/share", "value": {"applyLimitPerUniqueValue": True}, "limit": 1}
    ]
    assert {path.name for path in tmp_path.iterdir()} == {"dagster.yaml", ".twin"}


def test_workspace_names_a_module_of_the_package() -> None:
    [location] = yaml.safe_load((ROOT / "workspace.yaml").read_text())["load_from"]
    assert find_spec(location["python_module"]) is not None


def test_make_help_explains_every_target() -> None:
    command = ["make", "--no-print-directory", "--directory", str(ROOT), "help"]
    shown = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert {line.split()[0] for line in shown.splitlines()} == TARGETS


@pytest.mark.parametrize("target", sorted(TARGETS))
def test_target_can_be_made(target: str) -> None:
    command = ["make", "--dry-run", "--directory", str(ROOT), target]
    subprocess.run(command, capture_output=True, check=True)


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.name)
def test_script_is_runnable_and_sound(script: Path) -> None:
    assert script.stat().st_mode & 0o111
    subprocess.run(["bash", "-n", str(script)], check=True)


def test_ci_calls_the_targets_that_people_call() -> None:
    lines = (ROOT / ".ci" / "run").read_text().splitlines()
    assert "export CI=true" in lines
    assert [line.strip() for line in lines if line.strip().startswith("make ")] == [
        *("make lint", "make lint-workflows", "make test", "make aws-test", "make image-test")
    ]


def test_check_is_lint_and_every_test_with_the_coverage_floor() -> None:
    command = ["make", "--dry-run", "--directory", str(ROOT), "check"]
    shown = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert all(part in shown for part in ("ruff check", "mypy", "lint-imports", "pytest", "--cov"))
    assert (
        tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["coverage"]["report"]["fail_under"] >= 85
    )


def test_every_dependency_is_pinned_in_the_constraints() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = [*project["dependencies"], *chain.from_iterable(project["optional-dependencies"].values())]
    pinned = re.findall(r"^([\w.-]+)==", (ROOT / "constraints.txt").read_text(), re.MULTILINE)
    names = {_normal(re.split(r"[\[<>=!~; ]", requirement)[0]) for requirement in wanted}
    assert names <= {_normal(name) for name in pinned}


def test_torch_is_pinned_for_every_build() -> None:
    assert "torch==2.13.0" in (ROOT / "constraints.txt").read_text().splitlines()


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


NAMED_TEST = re.compile(r"`([a-z_/]+\.py)::(test_\w+)`")


@pytest.mark.parametrize(("page", "at_least"), [("consistency.md", 25), ("documentdb.md", 3)])
def test_every_test_that_an_argument_names_is_there(page: str, at_least: int) -> None:
    named = NAMED_TEST.findall((ROOT / "docs" / page).read_text())
    assert len(named) >= at_least
    missing = [
        (path, name)
        for path, name in named
        if f"\ndef {name}(" not in (ROOT / "twin_assets_tests" / path).read_text()
    ]
    assert missing == []
