"""A few counts for `twin status`, by REST alone: importing Qdrant's client takes longer than all the rest."""

from __future__ import annotations

from types import TracebackType
from typing import Any, Self

import httpx

from twin_assets.errors import StoreUnavailable
from twin_assets.settings import Settings, without_credentials
from twin_assets.store.rest import fault_of, rest_client, silence_of

_HEAD = {"key": "head", "match": {"value": True}}
_DELETED = {"key": "deleted", "match": {"value": True}}
_NEVER_GOOD = {
    "must": [
        {"key": "quarantined", "match": {"value": True}},
        {"key": "source_hash", "match": {"value": ""}},
    ]
}


class StoreGlance:
    """Counts documents and chunks as PointStore does. Owns its client.

    Raises what PointStore raises: StoreUnavailable, GenerationMissing, ConfigurationError.
    """

    def __init__(self, settings: Settings, *, timeout_s: float) -> None:
        self._url = settings.require_url("qdrant_url")
        self._client = rest_client(settings, timeout_s=timeout_s)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        self._client.close()

    def check(self) -> None:
        """Raise StoreUnavailable unless Qdrant answers."""
        self._ask("GET", "aliases")

    def count_documents(self, collection: str) -> int:
        """Count heads that are neither tombstones nor quarantined before their first good version."""
        return self._count(collection, {"must": [_HEAD], "must_not": [_DELETED, _NEVER_GOOD]})

    def count_chunks(self, collection: str) -> int:
        """Count chunks: all points that are no heads."""
        return self._count(collection, {"must_not": [_HEAD]})

    def _count(self, collection: str, chosen: dict[str, Any]) -> int:
        asked = {"filter": chosen, "exact": True}
        count: int = self._ask("POST", f"collections/{collection}/points/count", asked, collection)["count"]
        return count

    def _ask(self, method: str, path: str, body: Any = None, collection: str = "") -> Any:
        try:
            answer = self._client.request(method, path, json=body)
        except httpx.HTTPError as error:
            raise silence_of(self._url, error) from error
        fault = fault_of(answer.status_code, self._url, collection)
        if fault is not None:
            raise fault
        try:
            return answer.raise_for_status().json()["result"]
        except (httpx.HTTPStatusError, ValueError, KeyError, TypeError) as error:
            raise StoreUnavailable(
                without_credentials(self._url), "what answers there is no Qdrant"
            ) from error
