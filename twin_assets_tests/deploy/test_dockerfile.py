from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import tomllib
from importlib.util import find_spec
from pathlib import Path

import pytest
from docker.utils.build import PatternMatcher

from twin_assets_tests.deploy.files import ROOT, Instruction, read_dockerfile, read_yaml

INSTRUCTIONS = read_dockerfile()
FINAL = [instruction for instruction in INSTRUCTIONS if instruction.stage == "runtime"]
HADOLINT = shutil.which("hadolint", path=str(Path(sys.executable).parent)) or shutil.which("hadolint")


def last(name: str) -> Instruction:
    return next(instruction for instruction in reversed(FINAL) if instruction.name == name)


def sources() -> list[str]:
    copies = [each.text.split() for each in INSTRUCTIONS if each.name == "COPY" and "--from" not in each.text]
    return [source for copy in copies for source in copy[:-1]]


def lint(dockerfile: str) -> subprocess.CompletedProcess[str]:
    assert HADOLINT
    return subprocess.run([HADOLINT, "-"], input=dockerfile, capture_output=True, text=True, check=False)


@pytest.mark.skipif(HADOLINT is None, reason="hadolint has no wheel for this platform")
def test_hadolint_finds_nothing() -> None:
    found = lint((ROOT / "Dockerfile").read_text())
    assert (found.returncode, found.stdout) == (0, "")


@pytest.mark.skipif(HADOLINT is None, reason="hadolint has no wheel for this platform")
def test_hadolint_finds_what_is_wrong() -> None:
    found = lint("FROM python\nADD a b\nRUN apt-get update && apt-get install curl\nCMD python\n").stdout
    assert {"DL3006", "DL3008", "DL3009", "DL3020", "DL3025"} <= {
        line.split()[1] for line in found.splitlines()
    }


def test_every_stage_starts_from_the_same_pinned_image_or_from_a_stage() -> None:
    pinned, *others = [each.text.split()[0] for each in INSTRUCTIONS if each.name == "FROM"]
    assert re.fullmatch(r"python:3\.11-slim-bookworm@sha256:[0-9a-f]{64}", pinned)
    assert set(others) == {"base", "dependencies", "builder"}


def test_torch_is_a_build_for_the_cpu_unless_asked_otherwise() -> None:
    arguments = [each.text for each in INSTRUCTIONS if each.stage == "dependencies" and each.name == "ARG"]
    assert "TORCH_BACKEND=cpu" in arguments
    [torch] = [each.text for each in INSTRUCTIONS if "--torch-backend" in each.text]
    assert '--torch-backend "${TORCH_BACKEND}" torch' in torch
    assert read_yaml("docker-compose.yaml")["services"]["code"]["build"]["args"]["TORCH_BACKEND"] == (
        "${TORCH_BACKEND:-cpu}"
    )


def test_the_process_is_not_root() -> None:
    user, _, group = last("USER").text.partition(":")
    assert int(user) > 0
    assert int(group) > 0


def test_it_is_told_to_stop_and_asked_for_its_health_without_a_shell() -> None:
    assert last("STOPSIGNAL").text == "SIGTERM"
    assert isinstance(json.loads(last("CMD").text), list)
    assert isinstance(json.loads(last("HEALTHCHECK").text.partition("CMD ")[2]), list)
    assert not [each for each in FINAL if each.name == "ENTRYPOINT"], "a run's command must stand alone"


def test_the_last_stage_installs_nothing() -> None:
    for instruction in FINAL:
        assert "pip" not in instruction.text.split()
        assert "apt" not in instruction.text
    assert not [each for each in INSTRUCTIONS if each.name == "ADD"]


def test_it_serves_the_definitions_on_the_port_that_the_workspace_names() -> None:
    command = json.loads(last("CMD").text)
    assert find_spec(command[command.index("--module-name") + 1])
    port = command[command.index("--port") + 1]
    [server] = read_yaml("deploy/compose/workspace.yaml")["load_from"]
    assert server["grpc_server"]["port"] == int(port)
    assert server["grpc_server"]["host"] == "code"
    assert last("EXPOSE").text == port
    assert json.loads(last("HEALTHCHECK").text.partition("CMD ")[2])[-1] == port


@pytest.mark.parametrize("source", sources())
def test_what_is_copied_exists_and_reaches_the_builder(source: str) -> None:
    assert (ROOT / source).exists()
    inside = next((ROOT / source).glob("*.py"), ROOT / source) if (ROOT / source).is_dir() else ROOT / source
    assert not ignored(str(inside.relative_to(ROOT)))


@pytest.mark.parametrize(
    "path",
    [
        ".git/config",
        ".venv/bin/python",
        ".twin/mongodb/WiredTiger",
        ".env",
        "twin_assets/.env",
        "README.md/x.pyc",
    ],
)
def test_secrets_and_state_do_not_reach_the_builder(path: str) -> None:
    assert ignored(path)


def ignored(path: str) -> bool:
    lines = (ROOT / ".dockerignore").read_text().splitlines()
    return PatternMatcher([line for line in lines if line and not line.startswith("#")]).matches(path)


def test_dependencies_are_installed_before_the_code_is_copied() -> None:
    script = ROOT / "deploy/image/requirements.py"
    printed = subprocess.run([sys.executable, script], cwd=ROOT, capture_output=True, text=True, check=True)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    wanted = [
        *project["dependencies"],
        *extras["openvino"],
        *extras["onnx"],
        *extras["traces"],
        *extras["aws"],
    ]
    assert printed.stdout.splitlines() == wanted
    order = [each.text for each in INSTRUCTIONS]
    [project] = [number for number, text in enumerate(order) if text == "pyproject.toml ./"]
    [code] = [number for number, text in enumerate(order) if text == "twin_assets twin_assets"]
    [torch] = [number for number, text in enumerate(order) if "--torch-backend" in text]
    [rest] = [number for number, text in enumerate(order) if "requirements.txt" in text]
    assert torch < project < rest < code


def test_code_is_a_layer_of_its_own_behind_everything_that_changes_less_often() -> None:
    copies = [each.text.split() for each in FINAL if each.name == "COPY" and "--from" in each.text]
    assert [copy[0] for copy in copies] == ["--from=dependencies", "--from=models", "--from=builder"]
    assert copies[2][1:] == ["/opt/code/opt/twin", "/opt/twin"]


def test_models_are_baked_by_the_profile() -> None:
    [bake] = [each for each in INSTRUCTIONS if each.stage == "models" and each.name == "RUN"]
    assert "deploy/image/bake_models.py" in bake.text
    assert "ARG PROFILE" in [f"{each.name} {each.text}" for each in FINAL]


def test_the_container_writes_only_where_compose_lets_it() -> None:
    environment = " ".join(each.text for each in FINAL if each.name == "ENV")
    assert "PYTHONDONTWRITEBYTECODE=1" in environment
    assert "HF_HUB_OFFLINE=1" in environment
