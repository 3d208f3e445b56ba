"""A twin on a real MongoDB and Qdrant, with a broker in memory; changes are applied by the test itself.

Collections are created once per module, since that is slow; each test finds them empty.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any
from uuid import uuid4

import pytest
from qdrant_client import models as q

from twin_assets.models.change import Change
from twin_assets.operations.apply import Applier
from twin_assets.operations.batch import Counts
from twin_assets.operations.bootstrap import ensure_generations
from twin_assets.operations.context import StepContext
from twin_assets.operations.patience import Patience
from twin_assets.operations.processors import Processors
from twin_assets.operations.twin import Twin, open_twin
from twin_assets.settings import Settings, load_settings
from twin_assets_tests.operations.auditing import MemoryDeadLetters
from twin_assets_tests.operations.capturing import MemoryPublisher
from twin_assets_tests.small import SMALL_CHUNKS

QUEUES = 2


@pytest.fixture(scope="module")
def settings(mongodb_url: str, qdrant_url: str, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    return load_settings(
        state_dir=tmp_path_factory.mktemp("state"),
        mongodb_url=mongodb_url,
        mongodb_database=f"twin_{uuid4().hex[:12]}",
        rabbitmq_queues=QUEUES,
        qdrant_url=qdrant_url,
        **SMALL_CHUNKS,
    )


@pytest.fixture(scope="module")
def _opened(settings: Settings) -> Iterator[Twin]:
    with open_twin(settings) as opened:
        for name in opened.collections.names():
            opened.collections.drop(name)
        ensure_generations(opened, stop=threading.Event())
        yield opened
        for name in opened.collections.names():
            opened.collections.drop(name)
        opened.source.client.drop_database(settings.mongodb_database)
        opened.source.client.drop_database(settings.meta_database)


@pytest.fixture
def twin(_opened: Twin) -> Twin:
    _opened.publisher = MemoryPublisher(QUEUES)  # type: ignore[assignment]
    _opened.dead_letters = MemoryDeadLetters()  # type: ignore[assignment]
    for name in _opened.collections.names():
        _opened.store.delete(name, q.Filter())
    client, settings = _opened.source.client, _opened.settings
    client.drop_database(settings.mongodb_database)
    client[settings.meta_database].drop_collection("queues")
    return _opened


@pytest.fixture
def documents(twin: Twin) -> Any:
    """The source database, to write into as people do."""
    return twin.source.client[twin.settings.mongodb_database]


@pytest.fixture
def apply(twin: Twin) -> Callable[[list[Change]], Counts]:
    """Apply changes as the stream would, and say what was done."""
    patience = Patience(threading.Event())
    settings = twin.settings
    processors = Processors.of(settings)
    applier = Applier(StepContext(twin, processors, patience, twin.publisher))

    def run(changes: list[Change]) -> Counts:
        return applier.apply(applier.fetch(changes)) if changes else Counts()

    return run
