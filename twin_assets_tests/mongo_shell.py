"""What docker-compose.yaml does with MongoDB's shell: the service mongo-init, and mongod's health check."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from twin_assets.stack.server import plain_environment
from twin_assets_tests.deploy.files import ROOT, read_yaml
from twin_assets_tests.programs import require_mongosh

SERVICES: dict[str, Any] = read_yaml("docker-compose.yaml")["services"]
SCRIPT = "/twin/initiate.js"


def initiate(home: Path, environment: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    """Run the service mongo-init."""
    own = str(ROOT / "deploy/compose/mongo/initiate.js")
    command = [own if word == SCRIPT else word for word in SERVICES["mongo-init"]["entrypoint"]]
    return _run(home, command, environment)


def ask_for_health(home: Path, address: str) -> subprocess.CompletedProcess[str]:
    """Run the health check of the service mongo."""
    command = SERVICES["mongo"]["healthcheck"]["test"][1:]
    return _run(home, [address if word == "mongo" else word for word in command], {})


def _run(home: Path, command: list[str], environment: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    assert command[0] == "mongosh"
    given = plain_environment() | environment | {"HOME": str(home)}
    argv = [str(require_mongosh()), *command[1:]]
    return subprocess.run(argv, env=given, capture_output=True, text=True, timeout=120, check=False)
