"""Lets go of what has served its time: tombstones below the watermark, standbys past their grace."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from twin_assets.models.change import revision_of
from twin_assets.models.generation import GenerationStatus
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
            twin.store.sweep_tombstones(generation.collection, below=below)
    expired = now - timedelta(hours=settings.standby_hours)
    dropped = []
    for generation in generations:
        since = generation.status_at or generation.created_at
        if generation.status is GenerationStatus.STANDBY and since < expired:
            twin.meta.forget(generation.collection)
            twin.collections.drop(generation.collection)
            dropped.append(generation.collection)
    return dropped
