"""Lets go of what has served its time: tombstones below the watermark, standbys past their grace."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from twin_assets.errors import GenerationMissing
from twin_assets.models.change import revision_of
from twin_assets.models.generation import Generation, GenerationStatus
from twin_assets.operations.twin import Twin

# A rebuild that nobody has worked at for so long was given up: what it left is fed for nothing.
ABANDONED_HOURS = 24.0


def sweep(twin: Twin, *, now: datetime | None = None) -> list[str]:
    """Delete old tombstones everywhere and drop expired generations; returns the collections dropped.

    A tombstone fences late writers, so it stays until nothing older than it can still be under way.
    """
    now = now or datetime.now(UTC)
    settings = twin.settings
    watermark = twin.meta.watermark(settings.rabbitmq_queues)
    if watermark is not None:
        old = now - timedelta(hours=settings.tombstone_hours)
        below = min(watermark, revision_of(int(old.timestamp()), 0))
        for generation in twin.meta.generations():
            _sweep_tombstones(twin, generation, below=below)
    return drop_expired(twin, now=now)


def drop_expired(twin: Twin, *, now: datetime | None = None) -> list[str]:
    """Drop standbys past their grace and rebuilds that were given up; returns the collections dropped."""
    now = now or datetime.now(UTC)
    dropped = []
    for generation in twin.meta.generations(include_retired=True):
        if reason := _why_expired(generation, now, standby_hours=twin.settings.standby_hours):
            drop(twin, generation, reason)
            dropped.append(generation.collection)
        elif generation.status is GenerationStatus.RETIRED:
            # It is fed no more, so it may not keep what was deleted since.
            twin.collections.drop(generation.collection)
    return dropped


def drop(twin: Twin, generation: Generation, reason: str) -> None:
    """Drop a generation for good."""
    # Retired first: writers pass it over, and a crash in between leaves it to the next sweep.
    twin.meta.set_status(generation.collection, GenerationStatus.RETIRED, reason)
    twin.collections.drop(generation.collection)
    twin.meta.forget(generation.collection)


def _why_expired(generation: Generation, now: datetime, *, standby_hours: float) -> str:
    if generation.status is GenerationStatus.STANDBY:
        since = generation.status_at or generation.created_at
        return "its grace is over" if since <= now - timedelta(hours=standby_hours) else ""
    if generation.status is GenerationStatus.BUILDING:
        since = generation.worked_at or generation.created_at
        hours = max(ABANDONED_HOURS, standby_hours)
        return "its rebuild was given up" if since < now - timedelta(hours=hours) else ""
    return ""


def _sweep_tombstones(twin: Twin, generation: Generation, *, below: int) -> None:
    try:
        twin.store.sweep_tombstones(generation.collection, below=below)
    except GenerationMissing:
        # Not created yet, or dropped a moment ago; readers' own collection must be there.
        if generation.status is GenerationStatus.LIVE:
            raise
