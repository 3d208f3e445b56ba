"""A writer into a database of its own for each test."""

from __future__ import annotations

from collections.abc import Iterator
from uuid import uuid4

import pytest
from pymongo.database import Database

from twin_assets.source.client import Client, Document, connect, database_of
from twin_assets.source.writer import DocumentWriter


@pytest.fixture(scope="session")
def client(mongodb_url: str) -> Iterator[Client]:
    with connect(mongodb_url) as opened:
        yield opened


@pytest.fixture
def database(client: Client) -> Iterator[Database[Document]]:
    opened = database_of(client, f"ingest_{uuid4().hex[:12]}")
    yield opened
    client.drop_database(opened.name)


@pytest.fixture
def writer(client: Client, database: Database[Document]) -> DocumentWriter:
    return DocumentWriter(client, database.name)
