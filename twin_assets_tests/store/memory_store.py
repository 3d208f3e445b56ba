"""A PointStore without a server: the same conditions and the same fence, on dictionaries.

`twin_assets_tests/contracts` holds it and a real Qdrant side by side.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from types import SimpleNamespace
from typing import Any

from qdrant_client import models as q

from twin_assets.errors import GenerationMissing
from twin_assets.models.head import Head
from twin_assets.store import filters
from twin_assets.store.point_store import PointStore
from twin_assets.store.points import StoredChunk, StoredVector, stored_chunk, stored_head

Payload = dict[str, Any]
Points = dict[str, Payload]


class MemoryStore(PointStore):
    """Keeps the payloads of collections; a collection that was not created is missing."""

    def __init__(self, collections: Mapping[str, Points] | None = None) -> None:
        self.url = "memory://"
        self.collections: dict[str, Points] = dict(collections or {})

    def close(self) -> None:
        """Nothing is open."""

    def heads(self, collection: str, head_ids: Collection[str]) -> dict[str, Head]:
        points = self._points(collection) if head_ids else {}
        found = [stored_head(_record(each, points[each])) for each in head_ids if each in points]
        return {head.key: head for head in found if head is not None}

    def chunks(self, collection: str, entries: Collection[str]) -> dict[str, list[StoredChunk]]:
        found: dict[str, list[StoredChunk]] = {entry: [] for entry in entries}
        chosen = q.Filter(must=[filters.entries_in(entries)], must_not=[filters.HEAD])
        points = self._points(collection) if entries else {}
        for point_id in sorted(points):
            if matches(chosen, point_id, points[point_id]):
                chunk = stored_chunk(_record(point_id, points[point_id]))
                found[chunk.entry].append(chunk)
        return found

    def revisions(self, collection: str, point_ids: Sequence[str]) -> dict[str, int]:
        points = self._points(collection) if point_ids else {}
        return {each: int(points[each]["revision"]) for each in point_ids if each in points}

    def vectors(self, collection: str, point_ids: Sequence[str]) -> dict[str, StoredVector]:
        """Only payloads are kept, so there is never a vector to take."""
        return {}

    def upsert(
        self,
        collection: str,
        points: Sequence[q.PointStruct],
        *,
        revision: int,
        over: Sequence[q.FieldCondition] = (),
    ) -> None:
        fence = q.Filter(must=[filters.revision_at_most(revision), *over])
        held = self._points(collection) if points else {}
        for point in points:
            point_id = str(point.id)
            if point_id not in held or matches(fence, point_id, held[point_id]):
                held[point_id] = dict(point.payload or {})

    def set_payloads(self, collection: str, updates: Sequence[tuple[Payload, q.Filter]]) -> None:
        held = self._points(collection) if updates else {}
        for change, chosen in updates:
            for point_id in [each for each in held if matches(chosen, each, held[each])]:
                merged = held[point_id] | change
                held[point_id] = {name: value for name, value in merged.items() if value is not None}

    def delete(self, collection: str, chosen: q.Filter) -> None:
        held = self._points(collection)
        for point_id in [each for each in held if matches(chosen, each, held[each])]:
            del held[point_id]

    def _points(self, collection: str) -> Points:
        if collection not in self.collections:
            raise GenerationMissing(collection)
        return self.collections[collection]


def matches(chosen: q.Filter, point_id: str, payload: Payload) -> bool:
    """Tell whether a filter matches a point, for the conditions that the package uses."""
    must, should, must_not = (_listed(part) for part in (chosen.must, chosen.should, chosen.must_not))
    return (
        all(_holds(condition, point_id, payload) for condition in must)
        and (not should or any(_holds(condition, point_id, payload) for condition in should))
        and not any(_holds(condition, point_id, payload) for condition in must_not)
    )


def _holds(condition: Any, point_id: str, payload: Payload) -> bool:
    if isinstance(condition, q.Filter):
        return matches(condition, point_id, payload)
    if isinstance(condition, q.HasIdCondition):
        return point_id in {str(each) for each in condition.has_id}
    value = payload.get(condition.key)
    if condition.range is not None:
        return value is not None and _in_range(condition.range, value)
    if isinstance(condition.match, q.MatchAny):
        return value in condition.match.any
    return value is not None and value == condition.match.value


def _in_range(limits: Any, value: float) -> bool:
    return (
        (limits.lte is None or value <= limits.lte)
        and (limits.lt is None or value < limits.lt)
        and (limits.gt is None or value > limits.gt)
        and (limits.gte is None or value >= limits.gte)
    )


def _listed(conditions: Any) -> list[Any]:
    if conditions is None:
        return []
    return list(conditions) if isinstance(conditions, list) else [conditions]


def _record(point_id: str, payload: Payload) -> Any:
    return SimpleNamespace(id=point_id, payload=payload)
