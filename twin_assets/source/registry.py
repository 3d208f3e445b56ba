"""The registry of generations: which collections of Qdrant exist, and what each is made by."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pymongo.errors
from pymongo import ASCENDING, ReturnDocument
from pymongo.client_session import ClientSession
from pymongo.collection import Collection

from twin_assets.errors import ConfigurationError
from twin_assets.models.generation import Generation, GenerationStatus, alias_of, collection_name
from twin_assets.models.kinds import DataType, Snapshot
from twin_assets.models.recipe import Recipe
from twin_assets.source.client import Client, Document, database_of, dated_session, translate_errors


class GenerationRegistry:
    """Generations in the collection `generations`, keyed by the name of their Qdrant collection.

    Reads are at least as new as every registration that was acknowledged before, elections included. Indexes
    hold the rules: one building and one live generation for each snapshot and type.
    """

    def __init__(self, client: Client, database: str) -> None:
        self._client = client
        self._database = database_of(client, database)
        self._generations = self._database["generations"]
        self._is_indexed = False

    def register(
        self,
        *,
        snapshot: Snapshot,
        data_type: DataType,
        recipe: Recipe,
        status: GenerationStatus = GenerationStatus.BUILDING,
        reuse_vectors: bool = True,
    ) -> Generation:
        """Insert the next generation, then store `since`: a cluster time after the insert.

        Numbers are never used twice. Raises ConfigurationError where one is building (or live) already.
        """
        self._create_indexes()
        number = self._next_number(alias_of(snapshot, data_type))
        generation = Generation(
            collection=collection_name(snapshot, data_type, number),
            snapshot=snapshot,
            type=data_type,
            number=number,
            status=status,
            recipe=recipe,
            created_at=datetime.now(UTC),
            reuse_vectors=reuse_vectors,
        )
        self._write(lambda: self._generations.insert_one(_to_document(generation)), generation.alias)
        with dated_session(self._client) as (_, since):
            change = {"$set": {"since": since}}
            result = self._generations.update_one({"_id": generation.collection}, change)
        if not result.matched_count:
            raise _unknown(generation.collection)
        return generation.model_copy(update={"since": since})

    def generations(
        self, data_type: DataType | None = None, *, include_retired: bool = False
    ) -> list[Generation]:
        """Return the registered generations, by snapshot, type and number."""
        query: Document = {} if data_type is None else {"type": data_type.value}
        if not include_retired:
            query["status"] = {"$ne": GenerationStatus.RETIRED.value}
        with dated_session(self._client) as (session, _):
            found = self._generations.find(query, session=session).to_list()
        generations = [_from_document(document) for document in found]
        return sorted(generations, key=lambda each: (each.snapshot, each.type, each.number))

    def set_status(self, collection: str, status: GenerationStatus, note: str = "") -> None:
        """Change a generation's status. Raises ConfigurationError where the collection is unknown."""
        change = {"$set": _dated(status) | {"note": note}}
        result = self._write(lambda: self._generations.update_one({"_id": collection}, change), collection)
        if not result.matched_count:
            raise _unknown(collection)

    def touch(self, collection: str) -> None:
        """Note that a rebuild is filling a generation now. One that is gone meanwhile is left alone."""
        change = {"$set": {"worked_at": datetime.now(UTC).isoformat()}}
        with translate_errors(self._client):
            self._generations.update_one({"_id": collection}, change)

    def switch_live(self, collection: str) -> None:
        """Make this generation live and the former live one standby, in one transaction."""
        # What it reads is the primary's own state, for which a transaction needs no causal session.
        begin = self._client.start_session(causal_consistency=False)
        with translate_errors(self._client), begin as session:
            session.with_transaction(lambda own: self._switch(own, collection))

    def forget(self, collection: str) -> None:
        """Remove a generation; its number is not used again."""
        with translate_errors(self._client):
            self._generations.delete_one({"_id": collection})

    def _switch(self, session: ClientSession, collection: str) -> None:
        chosen = self._generations.find_one({"_id": collection}, session=session)
        if chosen is None:
            raise _unknown(collection)
        if chosen["status"] == GenerationStatus.RETIRED:
            raise ConfigurationError(f"{collection} is retired, so it is out of date; rebuild instead")
        rivals = {"snapshot": chosen["snapshot"], "type": chosen["type"], "_id": {"$ne": collection}}
        live, standby = _dated(GenerationStatus.LIVE), _dated(GenerationStatus.STANDBY)
        self._generations.update_many(rivals | {"status": live["status"]}, {"$set": standby}, session=session)
        self._generations.update_one({"_id": collection}, {"$set": live}, session=session)

    def _next_number(self, alias: str) -> int:
        with translate_errors(self._client):
            return increment(self._database["numbers"], alias, "last", {})

    def _write(self, write: Callable[[], Any], name: str) -> Any:
        try:
            with translate_errors(self._client):
                return write()
        except pymongo.errors.DuplicateKeyError as error:
            raise ConfigurationError(
                f"{name}: another generation is building or live already; finish or forget that one first"
            ) from error

    def _create_indexes(self) -> None:
        if self._is_indexed:
            return
        keys = {GenerationStatus.BUILDING: ("snapshot", "type"), GenerationStatus.LIVE: ("type", "snapshot")}
        with translate_errors(self._client):
            for status, names in keys.items():
                self._generations.create_index(
                    [(name, ASCENDING) for name in names],
                    name=f"one_{status.value}",
                    unique=True,
                    partialFilterExpression={"status": status.value},
                )
        self._is_indexed = True


def increment(collection: Collection[Document], key: str, name: str, also_set: Document) -> int:
    """Raise a counter by one, from 0 where there was none, and return it."""
    change = {"$inc": {name: 1}} | ({"$set": also_set} if also_set else {})
    counter = collection.find_one_and_update(
        {"_id": key}, change, upsert=True, return_document=ReturnDocument.AFTER
    )
    return int(counter[name]) if counter else 0


def _dated(status: GenerationStatus) -> Document:
    return {"status": status.value, "status_at": datetime.now(UTC).isoformat()}


def _to_document(generation: Generation) -> Document:
    fields = generation.model_dump(mode="json")
    return {"_id": fields.pop("collection"), **fields}


def _from_document(document: Document) -> Generation:
    return Generation.model_validate({"collection": document["_id"], **document})


def _unknown(collection: str) -> ConfigurationError:
    return ConfigurationError(
        f"the registry has no generation {collection}; `twin generations list` shows them"
    )
