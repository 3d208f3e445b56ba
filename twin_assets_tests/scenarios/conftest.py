"""A whole twin on real servers: own database and queues, an empty Qdrant; flows are threads that end."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from twin_assets.models.kinds import DataType, Snapshot
from twin_assets.operations.capture import run_capture
from twin_assets.operations.capture_progress import CaptureProgress
from twin_assets.operations.twin import Twin, open_twin
from twin_assets.settings import Settings, load_settings
from twin_assets.stream.replica import run_stream
from twin_assets_tests.scenarios.running import running
from twin_assets_tests.small import SMALL_FLOW
from twin_assets_tests.waiting import wait_until


@pytest.fixture
def settings(mongodb_url: str, rabbitmq_url: str, qdrant_url: str, tmp_path: Path) -> Settings:
    return load_settings(
        state_dir=tmp_path,
        mongodb_url=mongodb_url,
        mongodb_database=f"twin_{uuid.uuid4().hex[:12]}",
        rabbitmq_url=rabbitmq_url,
        qdrant_url=qdrant_url,
        **SMALL_FLOW,
    )


@pytest.fixture
def twin(settings: Settings) -> Iterator[Twin]:
    """The test's own, which asks once: it waits for Qdrant as long as people do, whatever its flows do."""
    usual = {"qdrant_timeout_s": Settings.model_fields["qdrant_timeout_s"].default}
    with open_twin(settings.model_copy(update=usual)) as opened:
        _empty(opened)
        yield opened
        _empty(opened)
        opened.source.client.drop_database(settings.mongodb_database)
        opened.source.client.drop_database(settings.meta_database)


@pytest.fixture
def documents(twin: Twin) -> Any:
    """The source database, to write into as people do."""
    return twin.source.client[twin.settings.mongodb_database]


@pytest.fixture
def streaming(settings: Settings) -> Callable[..., Any]:
    """A context manager that runs a stream, and raises what ended it."""

    @contextmanager
    def run(**overrides: Any) -> Iterator[threading.Event]:
        with running(lambda twin, stop: run_stream(twin, stop=stop, **overrides), settings) as stop:
            yield stop

    return run


@pytest.fixture
def capturing(settings: Settings) -> Callable[..., Any]:
    """A context manager that runs a capture, and raises what ended it."""

    @contextmanager
    def run(report: Callable[[CaptureProgress], None] = _ignore) -> Iterator[threading.Event]:
        with running(lambda twin, stop: run_capture(twin, stop=stop, report=report), settings) as stop:
            yield stop

    return run


@pytest.fixture
def in_step(twin: Twin) -> Callable[[], None]:
    """Wait until everything that was committed so far has been applied."""

    def wait() -> None:
        target = twin.source.now()
        queues = twin.settings.rabbitmq_queues
        wait_until(
            lambda: (twin.meta.watermark(queues) or 0) >= target, what="the watermark passes", limit_s=180
        )

    return wait


@pytest.fixture
def chunk_texts(twin: Twin) -> Callable[[DataType, str], list[str]]:
    """The texts of a document's chunks, in order, as readers see them."""

    def read(data_type: DataType, entry: str) -> list[str]:
        live = twin.live_generation(Snapshot.VECTOR, data_type)
        return twin.store.chunk_texts(live.collection, entry) if live else []

    return read


def _ignore(_: object) -> None:
    """Take a report."""


def _empty(twin: Twin) -> None:
    for alias in twin.collections.aliases():
        twin.store.client.delete_collection(alias)
    for name in twin.collections.names():
        twin.collections.drop(name)
