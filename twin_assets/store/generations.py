"""The physical side of generations: collections, payload indexes and aliases."""

from __future__ import annotations

from qdrant_client import models as q

from twin_assets.models.generation import Generation
from twin_assets.store.client import translated
from twin_assets.store.point_store import PointStore
from twin_assets.store.schema import PAYLOAD_INDEXES, collection_metadata, vectors_config


class GenerationCollections:
    """Creates, names and drops the collections behind the registry's generations."""

    def __init__(self, store: PointStore) -> None:
        self._store = store
        self._client = store.client

    def create(self, generation: Generation) -> None:
        """Create a generation's collection with its indexes; one that is there stays as it is."""
        name = generation.collection
        with translated(self._store.url):
            if not self._client.collection_exists(name):
                self._client.create_collection(
                    name, vectors_config=vectors_config(generation), metadata=collection_metadata(generation)
                )
            schema = self._client.get_collection(name).payload_schema
            for field, kind in PAYLOAD_INDEXES.items():
                if field not in schema:
                    self._client.create_payload_index(name, field, field_schema=kind, wait=True)

    def exists(self, collection: str) -> bool:
        """Tell whether Qdrant has the collection."""
        with translated(self._store.url):
            return self._client.collection_exists(collection)

    def names(self) -> list[str]:
        """Return all collections in Qdrant."""
        with translated(self._store.url):
            return sorted(found.name for found in self._client.get_collections().collections)

    def switch(self, generation: Generation) -> None:
        """Point the alias at this generation, in one atomic call."""
        actions: list[q.AliasOperations] = []
        if generation.alias in self.aliases():
            actions.append(q.DeleteAliasOperation(delete_alias=q.DeleteAlias(alias_name=generation.alias)))
        create = q.CreateAlias(collection_name=generation.collection, alias_name=generation.alias)
        actions.append(q.CreateAliasOperation(create_alias=create))
        with translated(self._store.url, generation.collection):
            self._client.update_collection_aliases(actions)

    def aliases(self) -> dict[str, str]:
        """Return the collection behind each alias."""
        with translated(self._store.url):
            return {found.alias_name: found.collection_name for found in self._client.get_aliases().aliases}

    def drop(self, collection: str) -> None:
        """Delete a collection; one that is gone already is fine."""
        with translated(self._store.url):
            self._client.delete_collection(collection)
