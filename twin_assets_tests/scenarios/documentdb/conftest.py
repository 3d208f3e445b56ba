"""The same twin on a stand-in for DocumentDB, which refuses what the real one is documented to refuse."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from pydantic import SecretStr

from twin_assets.settings import Settings
from twin_assets_tests.documentdb.stand_in import LikeDocumentDb


@pytest.fixture(scope="session")
def documentdb(mongodb_url: str) -> Iterator[LikeDocumentDb]:
    with LikeDocumentDb(mongodb_url) as stand_in:
        yield stand_in


@pytest.fixture
def settings(settings: Settings, documentdb: LikeDocumentDb) -> Settings:
    documentdb.enable(settings.mongodb_database)
    return settings.model_copy(
        update={"mongodb_url": SecretStr(documentdb.url), "mongodb_dialect": "documentdb"}
    )
