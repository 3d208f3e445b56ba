"""What must hold at the end, worked out anew from MongoDB: no audit, no plan, no writer of ours is asked."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from twin_assets.errors import DocumentRejected
from twin_assets.models.generation import Generation, GenerationStatus
from twin_assets.models.kinds import DataType, Snapshot
from twin_assets.models.recipe import VectorRecipe
from twin_assets.operations.processors import Processors
from twin_assets.operations.twin import Twin
from twin_assets.processing.dispatch import RawDispatcher
from twin_assets.source.entries import entry_of
from twin_assets.source.plain import to_plain

# They say when and where a point was made, not what it says.
FLEETING = frozenset({"revision", "settled"})
SAME = 1e-5
Payload = dict[str, Any]


@dataclass
class Verdict:
    """Documents, as `collection entry`, that some generation holds wrongly."""

    lost: list[str] = field(default_factory=list)
    duplicated: list[str] = field(default_factory=list)
    stale: list[str] = field(default_factory=list)
    resurrected: list[str] = field(default_factory=list)

    @property
    def is_clean(self) -> bool:
        return not (self.lost or self.duplicated or self.stale or self.resurrected)


def judge(twin: Twin) -> Verdict:
    """Compare every generation that is fed with what MongoDB holds now."""
    found = Verdict()
    processors = Processors.of(twin.settings)
    for generation in twin.meta.generations():
        if generation.status is not GenerationStatus.RETIRED:
            _judge_generation(twin, generation, processors, found)
    return found


def expected_points(twin: Twin, generation: Generation, processors: Processors) -> dict[str, Any]:
    """Return what each good document's points must say: its text, and the texts and vectors of its chunks."""
    expected: dict[str, Any] = {}
    database = twin.source.client[twin.settings.mongodb_database]
    for document in database[generation.type.value].find():
        entry = entry_of(document.pop("_id"))
        try:
            expected[entry] = _processed(generation, processors, entry, to_plain(document))
        except DocumentRejected:
            expected[entry] = None
    return expected


def points_of(twin: Twin, collection: str) -> dict[str, tuple[Payload, Any]]:
    """Return all points of a collection, for comparing one with another point by point."""
    return {
        str(record.id): (
            {name: value for name, value in (record.payload or {}).items() if name not in FLEETING},
            record.vector,
        )
        for record in twin.store.scroll(collection, with_vectors=True)
    }


def _processed(generation: Generation, processors: Processors, entry: str, document: Payload) -> Any:
    raw = RawDispatcher.dispatch(generation.type, entry, document)
    recipe = generation.recipe
    if not isinstance(recipe, VectorRecipe):
        return processors.clean(recipe, raw).cleaned_content
    chunks = processors.chunk(recipe, processors.clean(recipe.cleaned, raw))
    embedded = processors.embed(recipe, chunks)
    return {row.chunk.point_id: (row.chunk.content, row.chunk.chunk_index, row.vector) for row in embedded}


def _judge_generation(twin: Twin, generation: Generation, processors: Processors, found: Verdict) -> None:
    expected = expected_points(twin, generation, processors)
    heads: dict[str, Payload] = {}
    chunks: dict[str, dict[str, Any]] = {}
    seen: Counter[tuple[str, Any]] = Counter()
    for record in twin.store.scroll(generation.collection, with_vectors=True):
        payload = record.payload or {}
        entry = payload["entry"]
        if payload.get("head"):
            heads[entry] = payload
        else:
            chunks.setdefault(entry, {})[str(record.id)] = (payload, record.vector)
            seen[entry, payload["chunk_index"]] += 1
    found.duplicated += [
        _name(generation, entry) for entry in {entry for (entry, _), count in seen.items() if count > 1}
    ]
    for entry in expected.keys() | heads.keys() | chunks.keys():
        kind = _fault(generation, expected, entry, heads.get(entry), chunks.get(entry, {}))
        if kind is not None:
            getattr(found, kind).append(_name(generation, entry))


def _fault(
    generation: Generation, expected: dict[str, Any], entry: str, head: Payload | None, held: dict[str, Any]
) -> str | None:
    if entry not in expected:
        is_gone = head is None or head.get("deleted")
        return None if is_gone and not held else "resurrected"
    wanted = expected[entry]
    if wanted is None:
        # A refused version: the last good one stays, whatever it was.
        return None if head is not None and head.get("quarantined") else "stale"
    if head is None or head.get("deleted"):
        return "lost"
    if generation.snapshot is Snapshot.CLEANED:
        return None if head.get("cleaned_content") == wanted else "stale"
    if wanted.keys() - held.keys():
        return "lost"
    return None if _are_equal(wanted, held) and head.get("settled") else "stale"


def _are_equal(wanted: dict[str, Any], held: dict[str, Any]) -> bool:
    if wanted.keys() != held.keys():
        return False
    for point_id, (content, index, vector) in wanted.items():
        payload, stored = held[point_id]
        if (payload["content"], payload["chunk_index"]) != (content, index):
            return False
        if any(abs(one - other) > SAME for one, other in zip(vector, stored, strict=True)):
            return False
    return True


def _name(generation: Generation, entry: str) -> str:
    return f"{generation.collection} {entry}"


def live(twin: Twin, snapshot: Snapshot, data_type: DataType) -> Generation:
    """Return the generation that readers see."""
    found = twin.live_generation(snapshot, data_type)
    assert found is not None
    return found
