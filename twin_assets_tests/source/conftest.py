"""A client of each server there is, and a database of its own for each test."""

from __future__ import annotations

from collections.abc import Iterator
from uuid import uuid4

import pytest
from pymongo.database import Database

from twin_assets.source.client import Client, Document, connect, database_of
from twin_assets.source.documents import DocumentSource
from twin_assets.source.meta import MetaStore
from twin_assets.source.preparation import enable_changes
from twin_assets_tests.documentdb.stand_in import LikeDocumentDb


@pytest.fixture(scope="session")
def documentdb(mongodb_url: str) -> Iterator[LikeDocumentDb]:
    with LikeDocumentDb(mongodb_url) as stand_in:
        yield stand_in


@pytest.fixture(scope="session", params=["mongodb", "documentdb"])
def client(request: pytest.FixtureRequest) -> Iterator[Client]:
    if request.param == "mongodb":
        url = request.getfixturevalue("mongodb_url")
    else:
        url = request.getfixturevalue("documentdb").url
    with connect(url, dialect=request.param) as opened:
        yield opened


@pytest.fixture
def database(client: Client) -> Iterator[Database[Document]]:
    opened = database_of(client, f"test_{uuid4().hex[:12]}")
    enable_changes(client, opened.name)
    yield opened
    client.drop_database(opened.name)


@pytest.fixture
def source(client: Client, database: Database[Document]) -> DocumentSource:
    return DocumentSource(client, database.name)


@pytest.fixture
def meta(client: Client, database: Database[Document]) -> MetaStore:
    return MetaStore(client, database.name)
