"""The records of the audits: one per generation, in our own database."""

from __future__ import annotations

from collections.abc import Collection

from twin_assets.models.audit_state import AuditState
from twin_assets.source.client import Client, Document, database_of, translate_errors


class AuditStates:
    """States by the name of their generation's collection. Raises SourceUnavailable where MongoDB is away."""

    def __init__(self, client: Client, database: str) -> None:
        self._client = client
        self._audits = database_of(client, database)["audits"]

    def load(self, collection: str) -> AuditState | None:
        """Return a generation's state, None where it was never audited in full."""
        with translate_errors(self._client):
            found = self._audits.find_one({"_id": collection})
        return None if found is None else AuditState.model_validate({"collection": collection, **found})

    def save(self, state: AuditState) -> None:
        """Store a state in place of the one before."""
        fields: Document = state.model_dump()
        key = {"_id": fields.pop("collection")}
        fields["open"] = list(state.open)
        with translate_errors(self._client):
            self._audits.replace_one(key, fields, upsert=True)

    def keep(self, collections: Collection[str]) -> None:
        """Forget the states of all other generations."""
        with translate_errors(self._client):
            self._audits.delete_many({"_id": {"$nin": list(collections)}})
