"""The whole twin as `twin dev` runs it: Dagster starts long runs, replaces a dead one and gives a verdict.

All tests share one stack, and each has documents of its own.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from dagster import AssetKey, DagsterEventType
from qdrant_client.models import PointVectors

from twin_assets.broker.topology import queue_names
from twin_assets.cli.long_runs import ACTIVE, dagster_api, run_job
from twin_assets.defs.names import CHANGES_KEY, collection_key
from twin_assets.errors import GenerationMissing
from twin_assets.models.kinds import DataType, Snapshot
from twin_assets.operations.twin import Twin, open_twin
from twin_assets.settings import URL_SCHEMES, Settings, load_settings
from twin_assets.stack.dagster_api import DagsterApi
from twin_assets.stack.stack import LocalStack
from twin_assets_tests.free_ports import free_port
from twin_assets_tests.scenarios.consumers import BrokerView
from twin_assets_tests.scenarios.documents import post
from twin_assets_tests.scenarios.runs import dagster_instance, events_of, mark_failed, worker_of
from twin_assets_tests.waiting import is_gone, wait_until

pytestmark = [
    pytest.mark.timeout(600),  # the first test's time is the stack's start as well
    pytest.mark.servers,
    pytest.mark.slow,
]

POST = DataType.POSTS
PORTS = ("mongodb", "rabbitmq", "rabbitmq_dist", "epmd", "qdrant", "qdrant_grpc", "dagster")
HASTE = {
    "TWIN_TEXT_MODEL": "hash-32",
    "TWIN_CODE_MODEL": "hash-32",
    "TWIN_HEARTBEAT_INTERVAL_S": "1",
    "TWIN_HEARTBEAT_LIMIT_S": "10",
    "TWIN_MARKER_INTERVAL_S": "0.5",
    "TWIN_OBSERVATION_INTERVAL_S": "1",
}
RUN_S = 90.0


@pytest.fixture(scope="module")
def settings(
    server_binaries: dict[str, Path], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Settings]:
    """A stack with Dagster, and its URLs as every process finds them."""
    state = tmp_path_factory.mktemp("supervised")
    ports = {f"local_{name}_port": free_port() for name in PORTS}
    with pytest.MonkeyPatch.context() as environment:
        for name in URL_SCHEMES:
            environment.delenv(f"TWIN_{name.upper()}", raising=False)
        for name, value in HASTE.items():
            environment.setenv(name, value)
        stack = LocalStack(load_settings(state_dir=state, **ports))
        try:
            stack.dev()
            yield load_settings(state_dir=state, **ports)
        finally:
            stack.down()


@pytest.fixture
def twin(settings: Settings) -> Iterator[Twin]:
    """Nothing is emptied first: the sensors have begun to work."""
    with open_twin(settings) as opened:
        yield opened


@pytest.fixture
def await_texts(chunk_texts):
    """Wait until readers see exactly these chunks of a post."""

    def wait(entry: str, texts: list[str]) -> None:
        def are_there() -> bool:
            with suppress(GenerationMissing):  # registered a moment ago, and not created yet
                return chunk_texts(POST, entry) == texts
            return False

        wait_until(are_there, what=f"{entry} says {texts}", limit_s=RUN_S)

    return wait


def test_a_dead_stream_is_replaced_and_the_verdict_tells_a_sound_twin_from_a_spoilt_one(
    twin, settings, documents, await_texts
):
    api = dagster_api(settings)
    documents.posts.insert_one(post(1, "written first"))
    await_texts("int:1", ["written first"])

    killed = active_run(api, "stream_features")
    worker_of(killed, settings).kill()
    documents.posts.replace_one({"_id": 1}, post(1, "edited while nobody streamed"))
    documents.posts.insert_one(post(2, "born while nobody streamed"))
    await_texts("int:1", ["edited while nobody streamed"])
    await_texts("int:2", ["born while nobody streamed"])
    assert api.run_status(killed) == "FAILURE"
    assert active_run(api, "stream_features") != killed

    assert run_job(api, "verify_features", limit_s=RUN_S) == "SUCCESS"
    spoil_vectors(twin, "vector_posts")
    assert run_job(api, "verify_features", limit_s=RUN_S) == "FAILURE"
    (verdict, *_) = api.latest_runs("verify_features")
    reason = failure_of(verdict["runId"], settings)
    assert reason.endswith("checks failed: qdrant/vector_posts vectors_are_sound"), reason


def test_a_run_that_is_marked_failed_while_its_process_lives_stands_back_by_itself(
    settings, documents, await_texts
):
    api, broker = dagster_api(settings), BrokerView(settings.state_dir, settings.local_epmd_port)
    documents.posts.insert_one(post(31, "before"))
    await_texts("int:31", ["before"])
    zombie = active_run(api, "stream_features")
    process = worker_of(zombie, settings)

    def successor_consumes_alone() -> bool:
        (newest, *_) = api.latest_runs("stream_features")
        successor = worker_of(newest["runId"], settings)
        if successor in (None, process):
            return False
        queues = queue_names(settings.rabbitmq_queues)
        return broker.active() == {name: [successor.pid] for name in queues}

    mark_failed(zombie, settings)
    documents.posts.replace_one({"_id": 31}, post(31, "while two may be at work"))
    wait_until(lambda: is_gone(process), what="the zombie ends by itself", limit_s=RUN_S)
    await_texts("int:31", ["while two may be at work"])
    wait_until(successor_consumes_alone, what="the successor consumes alone", limit_s=RUN_S)
    assert api.run_status(zombie) == "FAILURE"


def test_lag_throughput_and_dead_letters_show_in_dagster(twin, settings, documents, await_texts):
    documents.posts.insert_many([post(11, "a good one"), {"_id": 12, "platform": "p", "content": {}}])
    await_texts("int:11", ["a good one"])

    def streamed() -> bool:
        found = observed(collection_key(Snapshot.VECTOR, POST), settings)
        return found.get("dead_letters") == 1 and found.get("chunks", 0) >= 1

    def captured() -> bool:
        return observed(CHANGES_KEY, settings).get("dead_letters") == 1

    wait_until(streamed, what="the collection's observation tells of the dead letter", limit_s=RUN_S)
    wait_until(captured, what="the queues' observation tells of the dead letter", limit_s=RUN_S)
    collection = observed(collection_key(Snapshot.VECTOR, POST), settings)
    assert 0 <= collection["lag_s"] < RUN_S
    assert collection["chunks_per_s"] >= 0
    assert collection["documents"] == twin.store.count_documents("vector_posts")
    queues = observed(CHANGES_KEY, settings)
    assert {"waiting", "lag_s", "changes_per_s", "published"} <= queues.keys()


def test_no_text_is_left_in_events_and_logs_after_a_delete(settings, documents, await_texts):
    secret = "unspeakable"
    documents.posts.insert_many([post(21, secret), {"_id": 22, "platform": "p", "content": {"text": secret}}])
    await_texts("int:21", [secret])
    documents.posts.delete_many({"_id": {"$in": [21, 22]}})
    await_texts("int:21", [])
    assert run_job(dagster_api(settings), "verify_features", limit_s=RUN_S) in ("SUCCESS", "FAILURE")
    written = [settings.state_dir / "dagster", settings.state_dir / "logs"]
    files = wait_until(lambda: contents(written), what="all files read before any is merged into another")
    assert {"runs.db", "index.db"} & {path.name for path in files}, list(files)
    assert [path for path, content in files.items() if secret.encode() in content] == []


def contents(folders: Sequence[Path]) -> dict[Path, bytes] | None:
    """Read all files; None where one went meanwhile, as SQLite's log does when its database takes it over."""
    files = [path for folder in folders for path in folder.rglob("*") if path.is_file()]
    try:
        return {path: path.read_bytes() for path in files}
    except FileNotFoundError:
        return None


def observed(key: AssetKey, settings: Settings) -> dict[str, Any]:
    """Return the figures of an asset's newest observation, as the UI shows them; none before the first."""
    with dagster_instance(settings) as instance:
        newest = instance.fetch_observations(key, limit=1).records
    return {
        name: value.value for record in newest for name, value in record.asset_observation.metadata.items()
    }


def active_run(api: DagsterApi, job: str) -> str:
    runs = [run["runId"] for run in api.latest_runs(job) if run["status"] in ACTIVE]
    assert len(runs) == 1, runs
    return str(runs[0])


def failure_of(run_id: str, settings: Settings) -> str:
    """Return what a run's only step said when it failed."""
    (event,) = events_of(run_id, DagsterEventType.STEP_FAILURE, settings)
    return str(event.get_dagster_event().step_failure_data.user_failure_data.description)


def spoil_vectors(twin: Twin, alias: str) -> None:
    points = [record.id for record in twin.store.scroll(alias) if not record.payload.get("head")]
    vector = [1.0] + [0.0] * 31
    vectors = [PointVectors(id=point, vector=vector) for point in points]
    twin.store.client.update_vectors(alias, vectors, wait=True)
