"""Lets go of what has served its time: tombstones below the watermark, standbys past their grace."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from twin_assets.errors import GenerationMissing
from twin_assets.models.change import revision_of
from twin_assets.models.generation import Generation, GenerationStatus
from twin_assets.operations.twin import Twin


def sweep(twin: Twin, *, now: datetime | None = None) -> list[str]:
    """Delete old tombstones everywhere and drop expired standbys; returns the collections dropped.

    A tombstone fences late writers, so it stays until nothing older than it can still be under way.
    """
    now = now or datetime.now(UTC)
    settings = twin.settings
    generations = twin.meta.generations()
    watermark = twin.meta.watermark(settings.rabbitmq_queues)
    if watermark is not None:
        old = now - timedelta(hours=settings.tombstone_hours)
        below = min(watermark, revision_of(int(old.timestamp()), 0))
        for generation in generations:
            _sweep_tombstones(twin, generation, below=below)
    expired = now - timedelta(hours=settings.standby_hours)
    dropped = []
    for generation in twin.meta.generations(include_retired=True):
        since = generation.status_at or generation.created_at
        if generation.status is GenerationStatus.STANDBY and since < expired:
            # Retired first: writers pass it over, and a crash in between leaves it to the next sweep.
            twin.meta.set_status(generation.collection, GenerationStatus.RETIRED, "its grace is over")
            twin.collections.drop(generation.collection)
            twin.meta.forget(generation.collection)
            dropped.append(generation.collection)
        elif generation.status is GenerationStatus.RETIRED:
            # It is fed no more, so it may not keep what was deleted since.
            twin.collections.drop(generation.collection)
    return dropped


def _sweep_tombstones(twin: Twin, generation: Generation, *, below: int) -> None:
    try:
        twin.store.sweep_tombstones(generation.collection, below=below)
    except GenerationMissing:
        # Not created yet, or dropped a moment ago; readers' own collection must be there.
        if generation.status is GenerationStatus.LIVE:
            raise
