"""What the image runs: docker-compose.yaml's commands, environments, files and health checks, as processes.

Two things are not as compose has them. DockerRunLauncher needs an engine, so deploy/compose/dagster.yaml is
used without its `run_launcher`, and runs are processes of the code location. The proxy is left out: Caddy is
not here. The network has no way out, so a model that is not in the image could not be loaded.
"""

from __future__ import annotations

import re
import signal
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from twin_assets.models.kinds import DataType, Snapshot
from twin_assets.operations.twin import Twin, open_twin
from twin_assets.settings import load_settings
from twin_assets_tests.deploy.files import read_yaml
from twin_assets_tests.deploy.image.system import OURS, System
from twin_assets_tests.mongo_shell import initiate
from twin_assets_tests.waiting import wait_until

pytestmark = [pytest.mark.image, pytest.mark.timeout(600)]

POSTS = 12
ASSETS = "{ assetNodes { assetKey { path } } }"
RUN_EVENTS = """query ($run: ID!) { logsForRun(runId: $run) { ... on EventConnection {
  events { ... on MessageEvent { message } } } } }"""
SERVICES = ["mongo", "rabbitmq", "qdrant", "postgres", "code", "webserver", "daemon"]
PROCESS = re.compile(r"for run \(pid: (\d+)\)")


@pytest.fixture(scope="session")
def twin(system: System) -> Iterator[Twin]:
    given = system.services["code"]["environment"]
    wanted = ("TWIN_MONGODB_URL", "TWIN_MONGODB_DATABASE", "TWIN_RABBITMQ_URL", "TWIN_QDRANT_URL")
    values = {name.removeprefix("TWIN_").lower(): given[name] for name in (*wanted, "TWIN_QDRANT_API_KEY")}
    with open_twin(load_settings(**values, _env_file=None)) as opened:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Api key is used with an insecure connection")
            assert opened.store
        yield opened


@pytest.fixture(scope="session")
def posts(twin: Twin) -> int:
    """Posts written to MongoDB that capture and stream, kept alive by the daemon, have brought to Qdrant."""
    collection = twin.source.client[twin.settings.mongodb_database]["posts"]
    collection.insert_many(post(number) for number in range(POSTS))
    await_posts(twin, POSTS)
    return POSTS


def post(number: int) -> dict[str, Any]:
    text = f"post number {number} says what a post says " * 30
    return {"_id": number, "platform": "p", "author_id": "a", "content": {"text": text}}


def await_posts(twin: Twin, count: int) -> None:
    aliases = [f"{snapshot.value}_posts" for snapshot in Snapshot]

    def found() -> bool:
        return all(posts_in(twin, alias) == count for alias in aliases)

    wait_until(found, what=f"{aliases} hold {count} posts", limit_s=240, poll_s=0.5)


def posts_in(twin: Twin, alias: str) -> int:
    return twin.store.count_documents(alias) if alias in twin.collections.aliases() else 0


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_is_healthy_by_its_own_check(system: System, name: str) -> None:
    done = system.health(name)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_script_that_makes_mongodbs_user_may_run_again(system: System) -> None:
    done = initiate(system.state, system.services["mongo-init"]["environment"])
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("name", OURS)
def test_a_service_has_no_rights_and_a_read_only_root(system: System, name: str) -> None:
    process = Path("/proc") / str(system.containers[name].pid)
    status = dict(
        line.split(":\t", 1) for line in (process / "status").read_text().splitlines() if ":\t" in line
    )
    assert status["Uid"].split() == ["10001"] * 4
    assert status["Gid"].split() == ["10001"] * 4
    assert {int(status[kind], 16) for kind in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")} == {0}
    assert status["NoNewPrivs"] == "1"
    mounts = [line.split() for line in (process / "mountinfo").read_text().splitlines()]
    [options] = [mount[5] for mount in mounts if mount[4] == "/"]
    assert "ro" in options.split(",")


def test_the_webserver_lists_the_assets(system: System) -> None:
    nodes = system.dagster._ask(ASSETS)["assetNodes"]
    paths = {"/".join(node["assetKey"]["path"]) for node in nodes}
    collections = {f"qdrant/{snapshot.value}_{kind.value}" for snapshot in Snapshot for kind in DataType}
    assert paths == collections | {f"mongodb/{kind.value}" for kind in DataType} | {"rabbitmq/changes"}


def test_what_is_written_to_mongodb_becomes_searchable(twin: Twin, posts: int) -> None:
    assert {posts_in(twin, alias) for alias in ("cleaned_posts", "vector_posts")} == {posts}


def test_a_rebuild_launched_through_graphql_succeeds(system: System, twin: Twin, posts: int) -> None:
    run = system.dagster.launch("rebuild_all")
    ended = wait_until(
        lambda: (
            found if (found := system.dagster.run_status(run)) in {"SUCCESS", "FAILURE", "CANCELED"} else None
        ),
        what="the rebuild ends",
        limit_s=240,
        poll_s=0.5,
    )
    assert ended == "SUCCESS", messages(system, run)
    await_posts(twin, posts)


def test_twin_checks_in_the_code_locations_container(system: System, posts: int) -> None:
    done = system.containers["code"].execute("twin", "check", timeout_s=120)
    assert done.returncode == 0, done.stdout + done.stderr


def test_twin_tells_the_status_in_the_code_locations_container(system: System, posts: int) -> None:
    """Within some looks: each gives the servers two seconds, of a machine that may be busy."""
    code = system.containers["code"]
    wait_until(
        lambda: not code.execute("twin", "status", timeout_s=120).returncode,
        what="twin status finds all in order",
        limit_s=120,
        poll_s=1,
    )


def test_a_stream_told_to_stop_finishes_what_it_has_in_hand(system: System, twin: Twin, posts: int) -> None:
    run = wait_until(lambda: at_work(system, "stream_features"), what="a stream is at work", limit_s=120)
    worker = worker_of(system, run)
    worker.send_signal(signal.SIGTERM)
    gone, _ = psutil.wait_procs([worker], timeout=90)
    assert gone, "the stream did not end within the time that compose gives it"
    wait_until(
        lambda: system.dagster.run_status(run) in {"SUCCESS", "FAILURE", "CANCELED"},
        what="Dagster knows that the stream is over",
        limit_s=60,
    )
    assert any("the slice in hand is finished first" in text for text in messages(system, run))
    successor = wait_until(lambda: at_work(system, "stream_features"), what="another stream", limit_s=120)
    assert successor != run
    await_posts(twin, posts)


def at_work(system: System, job: str) -> str | None:
    return next((run["runId"] for run in system.dagster.latest_runs(job) if run["status"] == "STARTED"), None)


def worker_of(system: System, run: str) -> psutil.Process:
    """Find the process of a run: Dagster says its pid, and it belongs to the code location."""
    found = [hit[1] for text in messages(system, run) if (hit := PROCESS.search(text))]
    assert found, messages(system, run)
    worker = psutil.Process(int(found[0]))
    assert system.containers["code"].pid in {parent.pid for parent in worker.parents()}
    return worker


def messages(system: System, run: str) -> list[str]:
    events = system.dagster._ask(RUN_EVENTS, run=run)["logsForRun"]["events"]
    return [event["message"] for event in events if event.get("message")]


def test_nothing_is_written_but_on_volumes_and_tmp(system: System, posts: int) -> None:
    assert [path for container in system.containers.values() for path in container.written()] == []
    logs = system.state / "volumes" / "dagster-logs"
    assert any(logs.iterdir())
    assert {path.stat().st_uid for path in logs.rglob("*")} == {10001}


def test_the_launcher_that_compose_names_is_in_the_image(system: System) -> None:
    launcher = read_yaml("deploy/compose/dagster.yaml")["run_launcher"]
    code = f"from {launcher['module']} import {launcher['class']}"
    done = system.containers["daemon"].execute("python", "-c", code)
    assert done.returncode == 0, done.stderr


def test_services_told_to_stop_end_in_good_order_and_may_be_started_again(
    system: System, twin: Twin, posts: int
) -> None:
    assert system.stop() == dict.fromkeys(OURS, 0)
    system.start()
    wait_until(lambda: at_work(system, "stream_features"), what="a stream is at work", limit_s=120)
    await_posts(twin, posts)
