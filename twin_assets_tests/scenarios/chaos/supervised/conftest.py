"""One stack for all tests of this folder: MongoDB, RabbitMQ, Qdrant and Dagster, as `twin dev` runs them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from twin_assets.operations.twin import Twin, open_twin
from twin_assets.settings import URL_SCHEMES, Settings
from twin_assets_tests.free_ports import free_port
from twin_assets_tests.scenarios.chaos.supervised.dev_stack import DevStack
from twin_assets_tests.scenarios.documents import article, post
from twin_assets_tests.waiting import wait_until

PORTS = ("mongodb", "rabbitmq", "rabbitmq_dist", "epmd", "qdrant", "qdrant_grpc", "dagster")
IN_STEP_S = 300.0
HASTE = {
    "text_model": "hash-32",
    "code_model": "hash-32",
    "heartbeat_interval_s": 1,
    "heartbeat_limit_s": 30,
    "marker_interval_s": 0.5,
    "observation_interval_s": 1,
}


@pytest.fixture(scope="package")
def stack(server_binaries: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[DevStack]:
    ports = {f"local_{name}_port": free_port() for name in PORTS}
    with pytest.MonkeyPatch.context() as environment:
        for name in URL_SCHEMES:
            environment.delenv(f"TWIN_{name.upper()}", raising=False)
        started = DevStack(state_dir=tmp_path_factory.mktemp("dev"), **ports, **HASTE)
        try:
            started.start()
            yield started
        finally:
            started.end()


@pytest.fixture(autouse=True)
def _with_a_clean_record(stack: DevStack) -> None:
    """Forget the runs that failed before: the sensors would wait the longer for each, minutes in the end."""
    stack.forget_failures()


@pytest.fixture
def settings(stack: DevStack) -> Settings:
    return stack.settings


@pytest.fixture
def twin(settings: Settings) -> Iterator[Twin]:
    """Nothing is emptied: the sensors are at work all the time."""
    with open_twin(settings) as opened:
        yield opened


@pytest.fixture
def in_step(twin: Twin) -> Callable[[], None]:
    """Wait until everything that was committed so far has been applied; a run may have to start first."""

    def wait() -> None:
        target = twin.source.now()
        queues = twin.settings.rabbitmq_queues
        wait_until(
            lambda: (twin.meta.watermark(queues) or 0) >= target,
            what="the watermark passes",
            limit_s=IN_STEP_S,
        )

    return wait


@pytest.fixture
def write(documents: Any) -> Callable[[str], None]:
    """Write a version of some documents that says `text`: new, longer, shorter and deleted ones."""

    def write_version(text: str) -> None:
        for number in range(12):
            long = f"{text} {number} " * (1 + (len(text) + number) % 40)
            documents.posts.replace_one({"_id": number}, post(number, long), upsert=True)
            documents.articles.replace_one({"_id": number}, article(number, long), upsert=True)
        documents.posts.delete_one({"_id": len(text) % 12})

    return write_version
