"""Two installations: one that people work with, and an empty one to restore into."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import Any

import pytest

from twin_assets.models.kinds import DataType, Snapshot
from twin_assets.operations.rebuild import rebuild
from twin_assets.operations.twin import Twin, open_twin
from twin_assets.settings import Settings
from twin_assets_tests.free_ports import free_port
from twin_assets_tests.scenarios.assertions import assert_clean
from twin_assets_tests.scenarios.house import House, house
from twin_assets_tests.scenarios.operating.backup_steps import Steps
from twin_assets_tests.scenarios.operating.contents import fill
from twin_assets_tests.scenarios.operating.flowing import flowing
from twin_assets_tests.scenarios.operating.supervised import HASTE, Operator, make_user, operated


@pytest.fixture(scope="module")
def lived_in(server_binaries, tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    with house(tmp_path_factory.mktemp("lived-in")) as built:
        yield built


@pytest.fixture
def settings(lived_in: House) -> Settings:
    return lived_in.settings(mongodb_database=f"twin_{uuid.uuid4().hex[:12]}")


@pytest.fixture
def empty_qdrant(lived_in: House, settings: Settings) -> None:
    """Databases are new for each test; Qdrant is the module's."""
    with open_twin(settings) as twin:
        for name in twin.collections.names():
            twin.collections.drop(name)


@pytest.fixture
def steps(lived_in: House, settings: Settings, tmp_path) -> Steps:
    backups = tmp_path / "backups"
    backups.mkdir()
    return lived_in.steps(backups, settings)


@pytest.fixture
def filled(twin: Twin, documents: Any) -> None:
    """All three types in step, with a standby of the posts' vectors; capture and stream have ended."""
    fill(documents)
    with flowing(twin):
        rebuild(twin, Snapshot.VECTOR, DataType.POSTS)
        assert_clean(twin)


@pytest.fixture
def supervised_settings(lived_in: House) -> Settings:
    """Settings for an installation with Dagster around it, and with compose's user of MongoDB."""
    return lived_in.settings(mongodb_url=make_user(lived_in), local_dagster_port=free_port(), **HASTE)


@pytest.fixture
def operator(settings: Settings, twin: Twin) -> Iterator[Operator]:
    with operated(settings) as found:
        yield found
