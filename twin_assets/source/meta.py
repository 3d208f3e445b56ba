"""Our own records in MongoDB: generations, the capture's position, the watermark and suspects."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from pymongo import ASCENDING, UpdateOne

from twin_assets.errors import ConfigurationError
from twin_assets.models.ages import AgeHistogram, FreshnessRecord
from twin_assets.models.change import Marker
from twin_assets.models.kinds import DataType
from twin_assets.source.ages import AgeRecords
from twin_assets.source.changes import Position
from twin_assets.source.client import Client, Document, translate_errors
from twin_assets.source.clock import ServerClock
from twin_assets.source.plain import to_plain
from twin_assets.source.registry import GenerationRegistry, increment

ATTEMPTS_KEPT = timedelta(days=1)
QUEUES = {"_id": "queues"}
POSITION = {"_id": "position"}
RECHECK = {"_id": "recheck"}


class MetaStore(GenerationRegistry):
    """Everything that must outlive the processes, in one database; majority reads and writes.

    Every method raises SourceUnavailable where MongoDB does not answer. Safe to use from several threads.
    """

    def __init__(self, client: Client, database: str) -> None:
        super().__init__(client, database)
        self._capture = self._database["capture"]
        self._queues = self._database["queues"]
        self._attempts = self._database["attempts"]
        self._ages = AgeRecords(self._queues)
        self._has_expiry = False
        self.clock = ServerClock(client)

    def load_position(self) -> Position | None:
        """Return where the capture goes on, None before its first snapshot was published."""
        with translate_errors(self._client):
            found = self._capture.find_one(POSITION)
        if found is None:
            return None
        known = found["token"], found["revision"], found["start_after"], found.get("as_of")
        return Position(*known, starts_at=found.get("starts_at"))

    def save_position(self, position: Position) -> None:
        """Store where to go on; everything before it must be confirmed by the broker."""
        fields = {
            "token": position.token,
            "revision": position.revision,
            "start_after": position.start_after,
            "as_of": position.as_of,
            "starts_at": position.starts_at,
            "saved_at": datetime.now(UTC),
        }
        with translate_errors(self._client):
            self._capture.replace_one(POSITION, fields, upsert=True)

    def clear_position(self) -> None:
        """Forget the position: the capture begins with a snapshot again."""
        with translate_errors(self._client):
            self._capture.delete_one(POSITION)

    def load_recheck(self) -> tuple[frozenset[DataType], int] | None:
        """Return the types to look over again once the watermark has passed the revision."""
        with translate_errors(self._client):
            found = self._capture.find_one(RECHECK)
        return None if found is None else (frozenset(map(DataType, found["types"])), found["revision"])

    def save_recheck(self, types: Collection[DataType], revision: int) -> None:
        """Ask for these types, and those asked for before, to be looked over behind `revision`."""
        names = sorted(data_type.value for data_type in types)
        change = {"$addToSet": {"types": {"$each": names}}, "$max": {"revision": revision}}
        with translate_errors(self._client):
            self._capture.update_one(RECHECK, change, upsert=True)

    def clear_recheck(self) -> None:
        """Forget what was asked for, since it has been done."""
        with translate_errors(self._client):
            self._capture.delete_one(RECHECK)

    def store_markers(self, markers: Mapping[int, Marker], ages: AgeHistogram | None = None) -> None:
        """Store how far each queue has been applied, and the ages seen, in one request.

        A position never moves backwards. Where the request is repeated, ages may count twice. The ages go
        first, so that whoever sees a position sees the ages that led to it.
        """
        if not markers:
            return
        reached: Document = {f"positions.{queue}": marker.position for queue, marker in markers.items()}
        reached |= {f"as_of.{queue}": marker.as_of for queue, marker in markers.items() if marker.as_of}
        with translate_errors(self._client):
            writes = [UpdateOne(QUEUES, {"$max": reached}, upsert=True)]
            if ages is not None and ages.samples:
                writes.insert(0, self._ages.addition(ages, self.clock.now()))
            self._queues.bulk_write(writes, ordered=True)

    def applied_until(self) -> dict[int, datetime]:
        """Return the moment of each queue up to which all commits have been applied."""
        with translate_errors(self._client):
            found = self._queues.find_one(QUEUES) or {}
        return {int(queue): as_of for queue, as_of in found.get("as_of", {}).items()}

    def freshness(self) -> FreshnessRecord:
        """Return how old what is searchable is, and was in the last hour."""
        with translate_errors(self._client):
            position = self._capture.find_one(POSITION) or {}
            applied = self.applied_until()
            now = self.clock.now()
            ages, since = self._ages.last_hour(now)
        return FreshnessRecord(
            now=now, published=position.get("as_of"), applied=applied, ages=ages, since=since
        )

    def watermark(self, queues: int) -> int | None:
        """Return the revision up to which all queues have been applied, None until each has a marker."""
        with translate_errors(self._client):
            found = self._queues.find_one(QUEUES) or {}
        positions = found.get("positions", {})
        reached = [positions[str(queue)] for queue in range(queues) if str(queue) in positions]
        return min(reached) if len(reached) == queues else None

    def newest_applied(self) -> int | None:
        """Return the newest revision up to which any queue has been applied, None before the first."""
        with translate_errors(self._client):
            found = self._queues.find_one(QUEUES) or {}
        return max(found.get("positions", {}).values(), default=None)

    def check_queues(self, queues: int) -> None:
        """Record the number of queues at first. Raises ConfigurationError where it differs later."""
        with translate_errors(self._client):
            known = (self._queues.find_one(QUEUES) or {}).get("count", queues)
            self._queues.update_one(QUEUES, {"$set": {"count": known}}, upsert=True)
        if known != queues:
            raise ConfigurationError(
                f"TWIN_RABBITMQ_QUEUES is {queues}, but changes are spread over {known} queues: set it back, "
                "or stop capture and stream, delete the queues twin.changes.* and the document `queues` of "
                f"{self._database.name}.queues, and start them again: everything is then published anew"
            )

    def count_attempt(self, key: str) -> int:
        """Count one more attempt at a document and return their number; forgotten after a day."""
        self._create_expiry()
        with translate_errors(self._client):
            return increment(self._attempts, key, "count", {"at": datetime.now(UTC)})

    def clear_attempts(self, keys: Collection[str]) -> None:
        """Forget the attempts at documents that went through."""
        if keys:
            with translate_errors(self._client):
                self._attempts.delete_many({"_id": {"$in": list(keys)}})

    def records(self) -> Iterator[tuple[str, Any]]:
        """Yield every record of this database as it is, with the name of its collection."""
        with translate_errors(self._client):
            for name in sorted(self._database.list_collection_names()):
                for record in self._database[name].find():
                    yield name, to_plain(record)

    def _create_expiry(self) -> None:
        if not self._has_expiry:
            seconds = int(ATTEMPTS_KEPT.total_seconds())
            with translate_errors(self._client):
                self._attempts.create_index([("at", ASCENDING)], expireAfterSeconds=seconds)
            self._has_expiry = True
