"""Makes sure that every snapshot of every data type has a live generation, before anything is consumed."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterable

from twin_assets.models.generation import LOST, Generation, GenerationStatus
from twin_assets.models.kinds import DataType, Snapshot
from twin_assets.operations.recognize import require_known
from twin_assets.operations.republish import Republisher
from twin_assets.operations.twin import Twin
from twin_assets.processing.recipes import recipe_of

log = logging.getLogger(__name__)


def ensure_generations(twin: Twin, *, stop: threading.Event) -> list[Generation]:
    """Create what is missing, live and empty; the stream fills it. Returns the generations created.

    One that takes the place of another gets every id of its type published again before it goes live, so
    that a collection that was lost in Qdrant comes back by itself, whatever crashes in between. Raises
    CollectionsUnknown.
    """
    require_known(twin)
    return [
        generation
        for data_type in DataType
        for snapshot in Snapshot
        if (generation := _ensure(twin, snapshot, data_type, stop=stop)) is not None
    ]


def recipe_warnings(twin: Twin) -> list[str]:
    """Return a line for each live generation whose recipe is not the one that the settings make."""
    return [
        f"{found.alias} has recipe {found.recipe.short}, the settings say {current.short}: it stays fresh "
        f"with its own; materialize qdrant/{found.alias} (or `twin rebuild {found.type.value}`) to switch"
        for found in twin.meta.generations()
        if found.status is GenerationStatus.LIVE
        and (current := recipe_of(twin.settings, found.snapshot, found.type)).short != found.recipe.short
    ]


def _ensure(
    twin: Twin, snapshot: Snapshot, data_type: DataType, *, stop: threading.Event
) -> Generation | None:
    known = [found for found in twin.meta.generations(data_type) if found.snapshot is snapshot]
    _let_lost_standbys_go(twin, known)
    live = next((found for found in known if found.status is GenerationStatus.LIVE), None)
    if live is not None and twin.collections.exists(live.collection):
        _heal_alias(twin, live)
        return None
    if live is not None:
        log.error("Qdrant has lost %s; a new generation takes its place", live.collection)
        twin.meta.set_status(live.collection, GenerationStatus.RETIRED, LOST)
    building = next((found for found in known if found.status is GenerationStatus.BUILDING), None)
    if building is not None and building.since is None:
        # A crash cut its registration in two, and nobody feeds a generation of an unknown age.
        twin.meta.forget(building.collection)
        building = None
    generation = building or twin.meta.register(
        snapshot=snapshot, data_type=data_type, recipe=recipe_of(twin.settings, snapshot, data_type)
    )
    twin.collections.create(generation)
    if generation.number > 1:
        republisher = Republisher(twin, stop=stop, published=lambda _changes, _letters: None)
        republisher.publish_all({data_type}, twin.source.now())
    twin.collections.switch(generation)
    twin.meta.set_status(generation.collection, GenerationStatus.LIVE)
    return generation


def _let_lost_standbys_go(twin: Twin, known: Iterable[Generation]) -> None:
    """Feed no standby that Qdrant has lost: every write to it would fail, and end the stream."""
    for found in known:
        if found.status is GenerationStatus.STANDBY and not twin.collections.exists(found.collection):
            log.error("Qdrant has lost the standby %s; there is no rollback to it", found.collection)
            twin.meta.set_status(found.collection, GenerationStatus.RETIRED, LOST)


def _heal_alias(twin: Twin, live: Generation) -> None:
    """Finish a switch that a crash cut in two: the alias first, then the registry, is its order."""
    target = twin.collections.aliases().get(live.alias)
    if target == live.collection:
        return
    switched = [found for found in twin.meta.generations(live.type) if found.collection == target]
    if switched and switched[0].status is GenerationStatus.BUILDING:
        twin.meta.switch_live(switched[0].collection)
        return
    twin.collections.switch(live)
