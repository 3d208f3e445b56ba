"""Dagster's own commands on real servers: what an operator and a CI job type."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from dagster import AssetKey, DagsterInstance, DagsterRun, DagsterRunStatus, RunsFilter

from twin_assets.defs.names import HEARTBEAT_TAG, PROGRESS_TAG, SHARE_TAG
from twin_assets.operations.twin import Twin, open_twin
from twin_assets.settings import load_settings
from twin_assets_tests.waiting import wait_until

pytestmark = [pytest.mark.servers, pytest.mark.slow]

DAGSTER = str(Path(sys.executable).parent / "dagster")
MODULE = ("-m", "twin_assets.definitions")
POSTS = 12
INSTANCE = """
storage: {{sqlite: {{base_dir: {home}}}}}
telemetry: {{enabled: false}}
"""


@pytest.fixture
def environment(mongodb_url: str, rabbitmq_url: str, qdrant_url: str, tmp_path: Path) -> dict[str, str]:
    (tmp_path / "dagster.yaml").write_text(INSTANCE.format(home=tmp_path / "storage"))
    return {
        **os.environ,
        "DAGSTER_HOME": str(tmp_path),
        "TWIN_STATE_DIR": str(tmp_path),
        "TWIN_MONGODB_URL": mongodb_url,
        "TWIN_MONGODB_DATABASE": f"twin_{uuid.uuid4().hex[:12]}",
        "TWIN_RABBITMQ_URL": rabbitmq_url,
        "TWIN_RABBITMQ_QUEUES": "4",
        "TWIN_QDRANT_URL": qdrant_url,
        "TWIN_TEXT_MODEL": "hash-32",
        "TWIN_HEARTBEAT_INTERVAL_S": "0.5",
        "TWIN_MARKER_INTERVAL_S": "0.2",
        # One that gives way gets no turn while the tests' other process, or a stranger, keeps all cores busy.
        "TWIN_REBUILD_PRIORITY": "normal",
    }


@pytest.fixture
def twin(environment: dict[str, str]) -> Iterator[Twin]:
    prefix = "TWIN_"
    values = {
        name.removeprefix(prefix).lower(): value
        for name, value in environment.items()
        if name.startswith(prefix)
    }
    with open_twin(load_settings(**values)) as opened:
        _clear_qdrant(opened)
        yield opened
        _clear_qdrant(opened)
        for database in (opened.settings.mongodb_database, opened.settings.meta_database):
            opened.source.client.drop_database(database)


def _clear_qdrant(twin: Twin) -> None:
    for found in twin.store.client.get_collections().collections:
        twin.store.client.delete_collection(found.name)


@pytest.fixture
def instance(environment: dict[str, str]) -> Iterator[DagsterInstance]:
    with DagsterInstance.from_config(environment["DAGSTER_HOME"]) as opened:
        yield opened


def run_dagster(environment: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [DAGSTER, *arguments]
    return subprocess.run(command, check=False, env=environment, capture_output=True, text=True, timeout=240)


@contextmanager
def running(environment: dict[str, str], job: str) -> Iterator[subprocess.Popen[bytes]]:
    worker = subprocess.Popen(
        [DAGSTER, "job", "execute", *MODULE, "-j", job],
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        yield worker
    finally:
        worker.kill()
        worker.wait()


def the_run(instance: DagsterInstance, job: str) -> DagsterRun | None:
    return next(iter(instance.get_runs(RunsFilter(job_name=job), limit=1)), None)


def is_at_work(instance: DagsterInstance, job: str) -> bool:
    run = the_run(instance, job)
    return run is not None and PROGRESS_TAG in run.tags


def write_posts(twin: Twin) -> None:
    posts: list[dict[str, Any]] = [
        {"_id": number, "platform": "p", "author_id": "a", "content": {"text": f"post number {number} " * 40}}
        for number in range(POSTS)
    ]
    twin.source.client[twin.settings.mongodb_database]["posts"].insert_many(posts)


def posts_in(twin: Twin, alias: str) -> int:
    return twin.store.count_documents(alias) if alias in twin.collections.aliases() else 0


def test_a_twin_is_captured_streamed_rebuilt_and_verified_by_dagster(environment, twin, instance):
    write_posts(twin)
    with (
        running(environment, "stream_features") as stream,
        running(environment, "capture_changes") as capture,
    ):
        wait_until(
            lambda: posts_in(twin, "vector_posts") == POSTS, what="all posts are searchable", limit_s=120
        )
        for job, share in {"stream_features": "stream-0", "capture_changes": "capture"}.items():
            wait_until(lambda job=job: is_at_work(instance, job), what=f"{job} beats")
            run = the_run(instance, job)
            assert run is not None
            assert run.tags[SHARE_TAG] == share
            assert float(run.tags[HEARTBEAT_TAG]) > 0

        rebuilt = run_dagster(environment, "job", "execute", *MODULE, "-j", "rebuild_posts")
        assert rebuilt.returncode == 0, rebuilt.stderr[-3000:]
        event = instance.get_latest_materialization_event(AssetKey(["qdrant", "vector_posts"]))
        metadata = event.asset_materialization.metadata
        assert metadata["documents"].value == POSTS
        assert metadata["generation"].value == "vector_posts__g0002"
        assert metadata["documents_from_cleaned"].value == POSTS

        verified = run_dagster(environment, "job", "execute", *MODULE, "-j", "verify_features")
        assert verified.returncode == 0, verified.stderr[-3000:]

        live = twin.collections.aliases()["vector_posts"]
        twin.store.client.delete_collection(live)
        verified = run_dagster(environment, "job", "execute", *MODULE, "-j", "verify_features")
        assert verified.returncode == 1
        assert "qdrant/vector_posts matches_source" in verified.stderr + verified.stdout

        for worker in (capture, stream):
            worker.send_signal(signal.SIGTERM)
        for worker in (capture, stream):
            worker.wait(timeout=60)
    counts = instance.fetch_observations(AssetKey(["qdrant", "cleaned_posts"]), limit=1).records
    assert counts[0].asset_observation.metadata["documents"].value == POSTS
    assert {the_run(instance, job).is_finished for job in ("capture_changes", "stream_features")} == {True}


def test_a_single_collection_can_be_materialized(environment, twin, instance):
    write_posts(twin)
    result = run_dagster(environment, "asset", "materialize", *MODULE, "--select", "key:qdrant/vector_posts")
    assert result.returncode == 0, result.stderr[-3000:]
    assert posts_in(twin, "vector_posts") == POSTS
    run = instance.get_runs(limit=1)[0]
    assert run.status is DagsterRunStatus.SUCCESS
