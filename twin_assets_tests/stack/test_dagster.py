from __future__ import annotations

import json
import os
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from twin_assets.errors import StackError
from twin_assets.stack.dagster import PROJECT, DagsterServer
from twin_assets.stack.dagster_api import DagsterApi
from twin_assets_tests.free_ports import free_port
from twin_assets_tests.waiting import is_gone, wait_until

CODE = Path(__file__).parent / "dagster_project"
LONG_S = 120.0
RUNS = "{ runsOrError { ... on Runs { results { runId status } } } }"


@pytest.fixture
def make_server(tmp_path: Path) -> Iterator[Callable[[str], DagsterServer]]:
    """A Dagster on one module of the test project, with the instance settings that the project ships."""
    servers: list[DagsterServer] = []

    def make(module: str) -> DagsterServer:
        project = tmp_path / "project"
        project.mkdir()
        (project / "dagster.yaml").write_text((PROJECT / "dagster.yaml").read_text())
        workspace = {"load_from": [{"python_file": str(CODE / module)}]}
        (project / "workspace.yaml").write_text(json.dumps(workspace))
        servers.append(DagsterServer(tmp_path / "state", port=free_port(), project=project))
        return servers[-1]

    yield make
    for server in servers:
        server.stop()


def _run_statuses(server: DagsterServer) -> dict[str, str]:
    """Return the status of every run there ever was, newest first."""
    body = json.dumps({"query": RUNS}).encode()
    request = urllib.request.Request(f"{server.url}/graphql", body, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request) as reply:
        return {run["runId"]: run["status"] for run in json.load(reply)["data"]["runsOrError"]["results"]}


def _await_started_run(server: DagsterServer, *, but: str | None = None) -> str:
    def started() -> str | None:
        runs = _run_statuses(server)
        return next((run for run, status in runs.items() if status == "STARTED" and run != but), None)

    run = wait_until(started, what="a started run", limit_s=LONG_S)
    assert run is not None
    return run


def _family(server: DagsterServer) -> list[psutil.Process]:
    leader = server.process.find()
    assert leader is not None
    return [leader, *leader.children(recursive=True)]


def _alive(processes: list[psutil.Process]) -> list[psutil.Process]:
    return [process for process in processes if not is_gone(process)]


@pytest.mark.servers
@pytest.mark.slow
def test_dagster_ends_its_runs_when_stopped_takes_them_up_again_and_leaves_no_orphans(
    make_server: Callable[[str], DagsterServer],
) -> None:
    server = make_server("endless.py")
    server.start()
    server.await_ready()
    first = _await_started_run(server)
    family = _family(server)
    server.stop()
    assert not _alive(family)

    server.start()
    server.await_ready()
    second = _await_started_run(server)
    assert _run_statuses(server) == {second: "STARTED", first: "CANCELED"}

    orphans = _family(server)[1:]
    _family(server)[0].kill()
    wait_until(server.process.has_died, what="death noticed")
    server.check()
    assert not _alive(orphans)


@pytest.mark.servers
@pytest.mark.slow
def test_killed_code_server_is_replaced_and_its_run_goes_on(
    make_server: Callable[[str], DagsterServer],
) -> None:
    server = make_server("endless.py")
    server.start()
    server.await_ready()
    run = _await_started_run(server)
    (code_server,) = [process for process in _family(server) if {"api", "grpc"} <= set(process.cmdline())]
    code_server.kill()
    wait_until(lambda: _revive_code(server), what="the loss is noticed", limit_s=LONG_S)
    api = DagsterApi(server.url)
    wait_until(lambda: not api.unreachable_locations(), what="definitions are served again", limit_s=LONG_S)
    assert _run_statuses(server) == {run: "STARTED"}


def _revive_code(server: DagsterServer) -> bool:
    """Ask as the stack does: a webserver that is busy is asked again."""
    with suppress(StackError):
        return server.revive_code()
    return False


@pytest.mark.servers
@pytest.mark.slow
def test_definitions_that_cannot_be_loaded_are_one_line(make_server: Callable[[str], DagsterServer]) -> None:
    server = make_server("broken.py")
    server.start()
    with pytest.raises(StackError, match=r"cannot load the definitions: .*broken on purpose") as caught:
        server.await_ready()
    assert "\n" not in str(caught.value)


def test_instance_is_the_projects_own_with_its_folder_made_absolute(tmp_path: Path) -> None:
    server = DagsterServer(tmp_path, port=free_port())
    server.folder.mkdir()
    launch = server.launch()
    text = (tmp_path / "dagster" / "dagster.yaml").read_text()
    assert f"base_dir: {tmp_path}/dagster/storage" in text
    assert ".twin" not in text.partition("\nstorage:")[2]
    assert launch.environment["DAGSTER_HOME"] == str(tmp_path / "dagster")
    assert launch.environment["TWIN_STATE_DIR"] == str(tmp_path)
    assert launch.environment["PATH"] == os.environ["PATH"]
    # Settings are read from `.env` in the directory in which the stack was started.
    assert launch.folder == Path.cwd()


def test_checkout_is_required(tmp_path: Path) -> None:
    server = DagsterServer(tmp_path / "state", port=free_port(), project=tmp_path)
    with pytest.raises(StackError, match="runs from a checkout"):
        server.launch()


def test_dagster_that_does_not_answer_is_one_error() -> None:
    api = DagsterApi(f"http://127.0.0.1:{free_port()}")
    assert not api.is_up()
    assert not api.is_loaded()
    with pytest.raises(StackError, match="does not answer"):
        api.active_runs()
