"""Events of MongoDB's change stream, projected to what is needed and turned into changes."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from twin_assets.errors import UnsupportedId
from twin_assets.models.change import Change, DeadLetter, Hint
from twin_assets.models.kinds import DataType
from twin_assets.source.client import Document, timestamp_revision
from twin_assets.source.entries import describe_id, entry_of

COLLECTIONS = [data_type.value for data_type in DataType]
HINTS = {"insert": Hint.UPSERT, "update": Hint.UPSERT, "replace": Hint.UPSERT, "delete": Hint.DELETE}
NAMESPACE_EVENTS = ["drop", "rename"]
# Documents stay in the server: an update of 16 MB does not fit into an event that carries it.
EVENT_PIPELINE: list[Document] = [
    {
        "$match": {
            "$or": [
                {"operationType": {"$in": [*HINTS, *NAMESPACE_EVENTS]}, "ns.coll": {"$in": COLLECTIONS}},
                {"operationType": "rename", "to.coll": {"$in": COLLECTIONS}},
                {"operationType": {"$in": ["dropDatabase", "invalidate"]}},
            ]
        }
    },
    {"$project": {"operationType": 1, "ns": 1, "to": 1, "documentKey": 1, "clusterTime": 1, "wallTime": 1}},
]


class EventBatch:
    """What a run of events says, in their order."""

    def __init__(self) -> None:
        self.changes: list[Change] = []
        self.lost: set[DataType] = set()
        self.unsupported: list[DeadLetter] = []
        self.revision = 0
        self.committed_at: datetime | None = None
        self.commit_times: dict[str, datetime] = {}
        self.invalidated: Document | None = None
        self.token: Document | None = None
        self._events = 0

    def __len__(self) -> int:
        return self._events

    def add(self, event: dict[str, Any]) -> None:
        """Take in one event."""
        self._events += 1
        self.token = event["_id"]
        self.revision = timestamp_revision(event["clusterTime"])
        # MongoDB 5 sends no wall time; the second before the commit is what is left.
        self.committed_at = event.get("wallTime") or event["clusterTime"].as_datetime()
        kind = event["operationType"]
        if kind in HINTS:
            self._add_change(event, HINTS[kind])
        elif kind == "invalidate":
            self.invalidated = event["_id"]
        elif kind == "dropDatabase":
            self.lost.update(DataType)
        else:
            names = {event["ns"]["coll"], event.get("to", {}).get("coll")}
            self.lost.update(DataType(name) for name in names if name in COLLECTIONS)

    def _add_change(self, event: dict[str, Any], hint: Hint) -> None:
        data_type = DataType(event["ns"]["coll"])
        value = event["documentKey"]["_id"]
        try:
            entry = entry_of(value)
        except UnsupportedId as error:
            reason = f"{error}: {describe_id(value)}"
            self.unsupported.append(unsupported_letter(data_type, reason, self.revision))
        else:
            change = Change(type=data_type, entry=entry, revision=self.revision, hint=hint)
            self.changes.append(change)
            if self.committed_at is not None:
                self.commit_times[change.key] = self.committed_at


def unsupported_letter(data_type: DataType, reason: str, revision: int) -> DeadLetter:
    """Return the dead letter of a document whose `_id` has no entry."""
    return DeadLetter(
        stage="capturing", reason=reason, at=datetime.now(UTC), type=data_type, revision=revision
    )
