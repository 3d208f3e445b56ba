"""The two servers that a stack brings or leaves to this program: a function for each choice, in a table."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from infrastructure.choices import DocumentDb, MongodbByUrl, QdrantByUrl, QdrantOnEcs
from infrastructure.config import StackConfig
from infrastructure.documentdb import make_documentdb
from infrastructure.qdrant.server import make_qdrant
from infrastructure.secrets import make_secret
from infrastructure.source import Source
from infrastructure.store import Store
from infrastructure.tasks import Place

API_KEY = "TWIN_QDRANT_API_KEY"


def make_source(config: StackConfig, place: Place) -> Source:
    """Make what the stack's choice of MongoDB needs, and the ways to it."""
    return _SOURCES[type(config.mongodb)](config.mongodb, config, place)


def make_store(config: StackConfig, place: Place) -> Store:
    """Make what the stack's choice of Qdrant needs, and the ways to it."""
    return _STORES[type(config.qdrant)](config.qdrant, config, place)


def _mongodb_by_url(choice: MongodbByUrl, _: StackConfig, place: Place) -> Source:
    # Atlas has a port for each member of a replica set.
    place.network.tasks.reach_anywhere(27015, 27017)
    return Source(choice.url)


def _documentdb(choice: DocumentDb, config: StackConfig, place: Place) -> Source:
    return make_documentdb(choice, place.network, config.size, log_days=config.log_days)


def _qdrant_by_url(choice: QdrantByUrl, _: StackConfig, place: Place) -> Store:
    place.network.tasks.reach_anywhere(6333, 6333)
    return Store({"TWIN_QDRANT_URL": choice.url}, make_secret(API_KEY, choice.api_key))


def _qdrant_on_ecs(choice: QdrantOnEcs, config: StackConfig, place: Place) -> Store:
    return make_qdrant(choice, place, config.size)


_SOURCES: Mapping[type, Callable[[Any, StackConfig, Place], Source]] = {
    MongodbByUrl: _mongodb_by_url,
    DocumentDb: _documentdb,
}
_STORES: Mapping[type, Callable[[Any, StackConfig, Place], Store]] = {
    QdrantByUrl: _qdrant_by_url,
    QdrantOnEcs: _qdrant_on_ecs,
}
