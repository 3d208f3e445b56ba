"""What a rebuild says in the UI: its progress in the log, its report as metadata. Never any text."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from dagster import MetadataValue

from twin_assets.defs.recipes import recipe_table
from twin_assets.models.change import seconds_of
from twin_assets.models.kinds import Snapshot

if TYPE_CHECKING:
    from twin_assets.operations.rebuild import RebuildReport
    from twin_assets.operations.scan import RebuildProgress

LOG_INTERVAL_S = 5.0
SAMPLE_IDS = 5

Metadata = dict[str, MetadataValue | int | float | str | bool]


class ProgressLog:
    """Writes the progress of a rebuild, at most one line every few seconds."""

    def __init__(
        self,
        write: Callable[[str], None],
        *,
        interval_s: float = LOG_INTERVAL_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._write = write
        self._interval_s = interval_s
        self._clock = clock
        self._due_s = clock()

    def __call__(self, progress: RebuildProgress) -> None:
        if self._clock() >= self._due_s:
            self._due_s = self._clock() + self._interval_s
            self._write(describe_rebuild(progress))


def describe_rebuild(progress: RebuildProgress) -> str:
    """Say in one line how far a rebuild is."""
    rate = f", {progress.chunks_per_s:.0f} chunks/s" if progress.chunks_embedded else ""
    reused = f", {progress.chunks_reused} vectors reused" if progress.chunks_reused else ""
    left = "" if progress.remaining_s is None else f", {progress.remaining_s:.0f} s to go"
    return f"{progress.documents} of {progress.total} documents{rate}{reused}{left}"


def metadata_of(report: RebuildReport) -> Metadata:
    """Return the figures of a rebuild, by the words of the documentation."""
    generation = report.generation
    metadata: Metadata = {
        "documents": report.documents,
        "quarantined": report.quarantined,
        "seconds": round(report.seconds, 1),
        "generation": generation.collection,
        "is_resumed": report.is_resumed,
        "sample_ids": MetadataValue.json(report.sample_ids[:SAMPLE_IDS]),
        "recipe": recipe_table(generation.recipe),
    }
    if generation.since is not None:
        metadata["since"] = MetadataValue.timestamp(float(seconds_of(generation.since)))
    return metadata | (_chunk_figures(report) if generation.snapshot is Snapshot.VECTOR else {})


def _chunk_figures(report: RebuildReport) -> Metadata:
    return {
        "chunks": report.chunks,
        "embedded": report.counts.chunks_embedded,
        "reused": report.counts.chunks_reused,
        "documents_from_cleaned": report.counts.from_cleaned,
    }
