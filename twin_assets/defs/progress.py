"""What the progress of a long run says in the UI: figures per asset, and half a line for the sensor."""

from __future__ import annotations

import math
import time
from contextlib import suppress
from typing import TYPE_CHECKING

from dagster import AssetKey

from twin_assets.defs.names import CHANGES_KEY, collection_key, source_key
from twin_assets.defs.observations import Figures, Observed
from twin_assets.defs.resources import TwinResource
from twin_assets.defs.supervision import Reporting
from twin_assets.errors import GenerationMissing
from twin_assets.models.change import seconds_of
from twin_assets.models.generation import alias_of
from twin_assets.models.kinds import DataType, Snapshot
from twin_assets.settings import Settings

if TYPE_CHECKING:
    from twin_assets.operations.capture_progress import CaptureProgress
    from twin_assets.operations.twin import Twin
    from twin_assets.stream.steps import StreamProgress


def capture_reporting(twin: TwinResource, settings: Settings) -> Reporting[CaptureProgress]:
    """Report how many documents MongoDB holds, and of the changes how many wait and how old they get."""

    def observe(progress: CaptureProgress) -> Observed:
        with twin.open(settings) as opened:
            documents = {source_key(each): {"documents": opened.source.count(each)} for each in DataType}
            changes = _published(progress) | freshness_figures(opened)
        return {**documents, CHANGES_KEY: changes | _queued(settings)}

    return Reporting(
        work=lambda progress: (progress.published, progress.dead, progress.recovered),
        observe=observe,
        describe=str,
        plotted=[CHANGES_KEY],
    )


def stream_reporting(twin: TwinResource, settings: Settings) -> Reporting[StreamProgress]:
    """Report how many documents and chunks each collection holds, and how far behind they are."""

    def observe(progress: StreamProgress) -> Observed:
        figures = stream_figures(progress)
        with twin.open(settings) as opened:
            fresh = freshness_figures(opened)
            return {key: {**held, **figures, **fresh} for key, held in _collections(opened).items()}

    return Reporting(
        work=lambda progress: (*vars(progress.counts).values(), lateness(progress, settings.lag_slo_s)),
        observe=observe,
        describe=describe_stream,
        plotted=[collection_key(Snapshot.VECTOR, each) for each in DataType],
    )


def stream_figures(progress: StreamProgress) -> Figures:
    """Return what every collection's observation says of the stream that feeds it."""
    figures: dict[str, int | float | str] = {
        "chunks_per_s": round(progress.chunks_per_s, 1),
        "dead_letters": progress.dead_letters,
    }
    if (lag_s := stream_lag_s(progress)) is not None:
        figures["lag_s"] = lag_s
    if (hit_rate := progress.counts.cache_hit_rate) is not None:
        figures["cache_hit_rate"] = round(hit_rate, 3)
    return figures


def describe_stream(progress: StreamProgress) -> str:
    """Say in half a line how a stream does."""
    if progress.waiting_for:
        return f"waiting for {progress.waiting_for}"
    lag_s = stream_lag_s(progress)
    counts = progress.counts
    lag = "no position yet" if lag_s is None else f"lag {lag_s:.0f} s"
    dead = f", {progress.dead_letters} dead letters" if progress.dead_letters else ""
    recalled = f", {counts.chunks_recalled} recalled" if counts.chunks_recalled else ""
    return f"{lag}, {counts.documents} documents, {counts.chunks_embedded} chunks embedded{recalled}{dead}"


def lateness(progress: StreamProgress, limit_s: float) -> int:
    """Return 0 within the limit, 1 above it, and one more at each doubling: each is worth an observation."""
    lag_s = stream_lag_s(progress) or 0.0
    return 0 if lag_s <= limit_s else 1 + int(math.log2(lag_s / limit_s))


def stream_lag_s(progress: StreamProgress) -> float | None:
    """Return the seconds since the last position that was applied; None before the first one."""
    if progress.watermark is None:
        return None
    return max(0.0, round(time.time() - seconds_of(progress.watermark), 1))


def _published(progress: CaptureProgress) -> dict[str, int | float | str]:
    return {
        "published": progress.published,
        "lag_s": round(progress.lag_s, 1),
        "changes_per_s": round(progress.changes_per_s, 1),
    }


def freshness_figures(twin: Twin) -> dict[str, int | float | str]:
    """Return how old documents were when they became searchable, as numbers that the UI plots."""
    from twin_assets.operations.freshness import read_freshness

    return dict(read_freshness(twin.meta, twin.settings).figures())


def _queued(settings: Settings) -> dict[str, int | float | str]:
    from twin_assets.broker.depth import queue_depths

    depths = queue_depths(settings.require_url("rabbitmq_url"), settings.rabbitmq_queues)
    return {"waiting": depths.total, "dead_letters": depths.dead}


def _collections(twin: Twin) -> dict[AssetKey, Figures]:
    found: dict[AssetKey, Figures] = {}
    for data_type in DataType:
        for snapshot in Snapshot:
            with suppress(GenerationMissing):
                found[collection_key(snapshot, data_type)] = _held(twin, snapshot, data_type)
    return found


def _held(twin: Twin, snapshot: Snapshot, data_type: DataType) -> dict[str, int | float | str]:
    alias = alias_of(snapshot, data_type)
    held: dict[str, int | float | str] = {"documents": twin.store.count_documents(alias)}
    if snapshot is Snapshot.VECTOR:
        held["chunks"] = twin.store.count_chunks(alias)
    return held
