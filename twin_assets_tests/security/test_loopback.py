"""Whoever is not on this machine reaches nothing that we start: servers, Dagster and the flows alike."""

from __future__ import annotations

import ipaddress
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from twin_assets.operations.twin import Twin
from twin_assets.settings import Settings, load_settings
from twin_assets.stack.dagster import PROJECT
from twin_assets.stack.stack import LocalStack
from twin_assets_tests.free_ports import free_port
from twin_assets_tests.scenarios.documents import post

pytestmark = [pytest.mark.servers, pytest.mark.slow]
CODE = Path(__file__).parents[1] / "stack" / "dagster_project" / "endless.py"
PORTS = {
    "local_mongodb_port": "mongodb",
    "local_epmd_port": "epmd",
    "local_rabbitmq_port": "rabbitmq",
    "local_rabbitmq_dist_port": "rabbitmq",
    "local_qdrant_port": "qdrant",
    "local_qdrant_grpc_port": "qdrant",
    "local_dagster_port": "dagster",
}
Place = tuple[str, int]


@pytest.fixture
def stack_settings(tmp_path: Path, server_binaries: object) -> Settings:
    ports = {name: free_port() for name in PORTS}
    return load_settings(state_dir=tmp_path / "state", _env_file=None, **ports)


@pytest.fixture
def running_stack(stack_settings: Settings, tmp_path: Path) -> Iterator[LocalStack]:
    """Everything that `twin dev` starts, Dagster on a project that loads no model."""
    project = tmp_path / "project"
    project.mkdir()
    (project / "dagster.yaml").write_text((PROJECT / "dagster.yaml").read_text())
    (project / "workspace.yaml").write_text(json.dumps({"load_from": [{"python_file": str(CODE)}]}))
    stack = LocalStack(stack_settings, project=project)
    try:
        stack.dev()
        yield stack
    finally:
        stack.down()


def _listening(process: psutil.Process) -> set[Place]:
    """Return the places at which a process and its descendants can be reached."""
    places = set()
    for member in [process, *process.children(recursive=True)]:
        try:
            connections = member.net_connections("inet")
        except psutil.NoSuchProcess:
            continue
        places |= {(c.laddr.ip, c.laddr.port) for c in connections if c.laddr and not c.raddr}
    return places


def _listening_of(state: Path) -> dict[str, set[Place]]:
    pids = {path.stem: int(path.read_text()) for path in (state / "run").glob("*.pid")}
    return {name: _listening(psutil.Process(pid)) for name, pid in pids.items()}


def _reached_from_elsewhere(places: set[Place]) -> list[Place]:
    return sorted(place for place in places if not ipaddress.ip_address(place[0]).is_loopback)


def test_every_server_and_every_part_of_dagster_listens_on_loopback_alone(
    running_stack: LocalStack, stack_settings: Settings
) -> None:
    found = _listening_of(stack_settings.state_dir)
    # Each port that we set is seen, so that nothing is called safe because it was not looked at.
    for setting, server in PORTS.items():
        assert getattr(stack_settings, setting) in {port for _, port in found[server]}, setting
    assert set(found) == set(PORTS.values())
    assert [name for name, places in found.items() if _reached_from_elsewhere(places)] == []


def test_capture_and_stream_open_no_port(
    twin: Twin, documents: Any, capturing: Callable[..., Any], streaming: Callable[..., Any], in_step: Any
) -> None:
    before = _listening_here()
    with capturing(), streaming():
        documents.posts.insert_one(post(1, "a short text"))
        in_step()
        assert _listening_here() == before


def _listening_here() -> set[Place]:
    own = psutil.Process().net_connections("inet")
    return {(c.laddr.ip, c.laddr.port) for c in own if c.status == psutil.CONN_LISTEN}
