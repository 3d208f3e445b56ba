"""Two installations: one that people work with, and an empty one to restore into."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

import pytest

from twin_assets.settings import Settings
from twin_assets_tests.scenarios.house import House, house
from twin_assets_tests.scenarios.operating.backup_steps import Steps


@pytest.fixture(scope="module")
def lived_in(server_binaries, tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    with house(tmp_path_factory.mktemp("lived-in")) as built:
        yield built


@pytest.fixture
def settings(lived_in: House) -> Settings:
    return lived_in.settings(mongodb_database=f"twin_{uuid.uuid4().hex[:12]}")


@pytest.fixture
def steps(lived_in: House, settings: Settings, tmp_path) -> Steps:
    backups = tmp_path / "backups"
    backups.mkdir()
    return lived_in.steps(backups, settings)
