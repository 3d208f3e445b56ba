"""The whole twin as `twin dev` runs it: Dagster starts long runs, replaces a dead one and gives a verdict."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psutil
import pytest
from dagster import DagsterEventType, DagsterInstance, EventLogEntry
from qdrant_client.models import PointVectors

from twin_assets.cli.long_runs import ACTIVE, dagster_api, run_job
from twin_assets.errors import GenerationMissing
from twin_assets.models.base import DataType
from twin_assets.operations.twin import Twin, open_twin
from twin_assets.settings import URL_SCHEMES, Settings, load_settings
from twin_assets.stack.dagster_api import DagsterApi
from twin_assets.stack.ports import free_port
from twin_assets.stack.stack import LocalStack
from twin_assets_tests.scenarios.documents import post
from twin_assets_tests.waiting import wait_until

pytestmark = [pytest.mark.servers, pytest.mark.slow]

POST = DataType.POSTS
PORTS = ("mongodb", "rabbitmq", "rabbitmq_dist", "epmd", "qdrant", "qdrant_grpc", "dagster")
HASTE = {
    "TWIN_TEXT_MODEL": "hash-32",
    "TWIN_CODE_MODEL": "hash-32",
    "TWIN_HEARTBEAT_INTERVAL_S": "1",
    "TWIN_HEARTBEAT_LIMIT_S": "10",
    "TWIN_MARKER_INTERVAL_S": "0.5",
}
RUN_S = 90.0


@pytest.fixture
def settings(
    server_binaries: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Settings]:
    """A stack with Dagster, and its URLs as every process finds them."""
    for name in URL_SCHEMES:
        monkeypatch.delenv(f"TWIN_{name.upper()}", raising=False)
    for name, value in HASTE.items():
        monkeypatch.setenv(name, value)
    ports = {f"local_{name}_port": free_port() for name in PORTS}
    stack = LocalStack(load_settings(state_dir=tmp_path, **ports))
    try:
        stack.dev()
        yield load_settings(state_dir=tmp_path)
    finally:
        stack.down()


@pytest.fixture
def twin(settings: Settings) -> Iterator[Twin]:
    """Nothing is emptied first: the sensors have begun to work."""
    with open_twin(settings) as opened:
        yield opened


def test_a_dead_stream_is_replaced_and_the_verdict_tells_a_sound_twin_from_a_spoilt_one(
    twin, settings, documents, chunk_texts
):
    api = dagster_api(settings)

    def await_text(entry: str, text: str) -> None:
        def is_there() -> bool:
            with suppress(GenerationMissing):  # registered a moment ago, and not created yet
                return chunk_texts(POST, entry) == [text]
            return False

        wait_until(is_there, what=f"{entry} says {text!r}", limit_s=RUN_S)

    documents.posts.insert_one(post(1, "written first"))
    await_text("int:1", "written first")

    killed = active_run(api, "stream_features")
    worker_of(killed, settings).kill()
    documents.posts.replace_one({"_id": 1}, post(1, "edited while nobody streamed"))
    documents.posts.insert_one(post(2, "born while nobody streamed"))
    await_text("int:1", "edited while nobody streamed")
    await_text("int:2", "born while nobody streamed")
    assert api.run_status(killed) == "FAILURE"
    assert active_run(api, "stream_features") != killed

    assert run_job(api, "verify_features", limit_s=RUN_S) == "SUCCESS"
    spoil_vectors(twin, "vector_posts")
    assert run_job(api, "verify_features", limit_s=RUN_S) == "FAILURE"
    (verdict, *_) = api.latest_runs("verify_features")
    reason = failure_of(verdict["runId"], settings)
    assert reason.endswith("checks failed: qdrant/vector_posts vectors_are_sound"), reason


def active_run(api: DagsterApi, job: str) -> str:
    runs = [run["runId"] for run in api.latest_runs(job) if run["status"] in ACTIVE]
    assert len(runs) == 1, runs
    return str(runs[0])


def worker_of(run_id: str, settings: Settings) -> psutil.Process:
    """Return the process that a run works in: it names itself in the run's events."""
    events = events_of(run_id, DagsterEventType.ENGINE_EVENT, settings)
    pids = [found[1] for event in events if (found := re.search(r"\(pid: (\d+)\)", event.message))]
    return psutil.Process(int(pids[0]))


def failure_of(run_id: str, settings: Settings) -> str:
    """Return what a run's only step said when it failed."""
    (event,) = events_of(run_id, DagsterEventType.STEP_FAILURE, settings)
    return str(event.get_dagster_event().step_failure_data.user_failure_data.description)


def events_of(run_id: str, kind: DagsterEventType, settings: Settings) -> list[EventLogEntry]:
    with DagsterInstance.from_config(str(settings.state_dir / "dagster")) as instance:
        return list(instance.all_logs(run_id, of_type=kind))


def spoil_vectors(twin: Twin, alias: str) -> None:
    points = [record.id for record in twin.store.scroll(alias) if not record.payload.get("head")]
    vector = [1.0] + [0.0] * 31
    vectors = [PointVectors(id=point, vector=vector) for point in points]
    twin.store.client.update_vectors(alias, vectors, wait=True)
