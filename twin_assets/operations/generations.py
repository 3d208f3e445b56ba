"""What generations there are, and changing by hand which of them readers see."""

from __future__ import annotations

from dataclasses import dataclass

from twin_assets.errors import ConfigurationError, GenerationMissing
from twin_assets.faults import FaultPoint, fault_point
from twin_assets.models.generation import Generation, GenerationStatus, is_ours
from twin_assets.models.kinds import DataType, Snapshot
from twin_assets.operations import retention
from twin_assets.operations.proof import prove_known
from twin_assets.operations.twin import Twin

UNKNOWN = "not in the registry: nobody feeds it"


@dataclass(frozen=True)
class GenerationView:
    """One collection of ours in Qdrant, or one that the registry knows; counts are None where it is gone.

    `generation` is None for a collection that the registry does not know. `is_seen` says whether readers see
    it.
    """

    collection: str
    generation: Generation | None
    is_seen: bool
    documents: int | None
    chunks: int | None
    note: str = ""


def list_generations(twin: Twin) -> list[GenerationView]:
    """Return all generations, by name: what the registry knows, and what is left over in Qdrant."""
    known = {found.collection: found for found in twin.meta.generations(include_retired=True)}
    ours = filter(is_ours, twin.collections.names())
    seen = set(twin.collections.aliases().values())
    return [_view(twin, name, known.get(name), is_seen=name in seen) for name in sorted({*known, *ours})]


def find_generation(twin: Twin, collection: str) -> Generation:
    """Return a generation by its collection's name. Raises ConfigurationError where there is none."""
    for found in twin.meta.generations(include_retired=True):
        if found.collection == collection:
            return found
    raise ConfigurationError(
        f"the registry has no generation {collection!r}; `twin generations list` shows them"
    )


def switch(twin: Twin, collection: str, *, with_vectors: bool = True) -> Generation:
    """Prove a generation and show it to readers; the one they saw becomes the standby.

    Raises GenerationRejected where it does not say what MongoDB says, ConfigurationError where it cannot be
    switched to.
    """
    chosen = find_generation(twin, collection)
    if chosen.status is GenerationStatus.RETIRED:
        raise ConfigurationError(
            f"{collection} is retired ({chosen.note}): it is fed no more; rebuild instead"
        )
    if chosen.status is GenerationStatus.LIVE and twin.collections.aliases().get(chosen.alias) == collection:
        raise ConfigurationError(f"{collection} is live already")
    prove_known(twin, chosen, with_vectors=with_vectors)
    fault_point(FaultPoint.PROVEN)
    twin.collections.switch(chosen)
    fault_point(FaultPoint.ALIAS_SWITCHED)
    twin.meta.switch_live(collection)
    return chosen


def roll_back(twin: Twin, snapshot: Snapshot, data_type: DataType) -> Generation:
    """Show readers the standby again, once it is proven; it has been fed all along.

    Its vectors are not read, so that it takes seconds: `switch` reads them. Raises ConfigurationError where
    there is no standby, and GenerationRejected.
    """
    standby = find_standby(twin, snapshot, data_type)
    if standby is None:
        raise ConfigurationError(
            f"{snapshot.value}_{data_type.value} has no standby: there was no rebuild within "
            "TWIN_STANDBY_HOURS; rebuild instead"
        )
    return switch(twin, standby.collection, with_vectors=False)


def find_standby(twin: Twin, snapshot: Snapshot, data_type: DataType) -> Generation | None:
    """Return the generation that was live most recently, None where there is no standby."""
    standbys = [
        found
        for found in twin.meta.generations(data_type)
        if found.snapshot is snapshot and found.status is GenerationStatus.STANDBY
    ]
    return max(standbys, key=lambda found: (found.status_at or found.created_at, found.number), default=None)


def drop(twin: Twin, collection: str) -> None:
    """Drop a generation that readers do not see. Raises ConfigurationError for any other collection."""
    if collection in twin.collections.aliases().values():
        raise ConfigurationError(f"{collection} is what readers see; switch to another one first")
    known = {found.collection: found for found in twin.meta.generations(include_retired=True)}
    generation = known.get(collection)
    if generation is None:
        if not is_ours(collection) or not twin.collections.exists(collection):
            find_generation(twin, collection)
        twin.collections.drop(collection)
        return
    if generation.status is GenerationStatus.LIVE:
        raise ConfigurationError(f"{collection} is live; switch to another one first")
    retention.drop(twin, generation, "dropped by hand")


def _view(twin: Twin, name: str, generation: Generation | None, *, is_seen: bool) -> GenerationView:
    note = generation.note if generation else UNKNOWN
    try:
        documents, chunks = twin.store.count_documents(name), twin.store.count_chunks(name)
    except GenerationMissing:
        return GenerationView(name, generation, is_seen, None, None, note or "not in Qdrant")
    return GenerationView(name, generation, is_seen, documents, chunks, note)
