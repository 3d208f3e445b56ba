"""The conditions on revisions, on a real Qdrant, down to one: with the index and by looking at the points."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from qdrant_client import models as q

from twin_assets.models.change import revision_of
from twin_assets.store import filters
from twin_assets.store.point_store import PointStore

pytestmark = pytest.mark.servers

# Of today's size, and of the last second in which such numbers fit; neighbours, as busy seconds have them.
FIRST = {"now": revision_of(1_795_600_000, 0), "in 2037": revision_of((1 << 31) - 1, 0)}
MANY = 240
COLLECTION = "revisions"
CONDITIONS: dict[str, tuple[Callable[[int], q.FieldCondition], Callable[[int, int], bool]]] = {
    "at most": (filters.revision_at_most, lambda held, limit: held <= limit),
    "below": (filters.revision_below, lambda held, limit: held < limit),
    "above": (filters.revision_above, lambda held, limit: held > limit),
    "is": (filters.revision_is, lambda held, limit: held == limit),
}


@pytest.fixture(params=[True, False], ids=["indexed", "not indexed"])
def store(qdrant_url: str, request: pytest.FixtureRequest) -> Iterator[PointStore]:
    with PointStore(qdrant_url) as opened:
        opened.client.create_collection(COLLECTION, vectors_config={})
        if request.param:
            opened.client.create_payload_index(COLLECTION, "revision", "integer", wait=True)
        yield opened
        opened.client.delete_collection(COLLECTION)


@pytest.mark.parametrize("name", CONDITIONS)
@pytest.mark.parametrize("when", FIRST)
def test_a_condition_tells_a_revision_from_its_neighbours(store, name, when):
    condition, is_meant = CONDITIONS[name]
    first = FIRST[when]
    points = [
        q.PointStruct(id=number, vector={}, payload={"revision": first + number}) for number in range(MANY)
    ]
    store.client.upsert(COLLECTION, points, wait=True)
    for limit in range(first, first + MANY):
        meant = sum(is_meant(first + number, limit) for number in range(MANY))
        assert store.count(COLLECTION, q.Filter(must=[condition(limit)])) == meant, limit - first
