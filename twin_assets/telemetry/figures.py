"""What the long runs say of themselves, under the names that Prometheus gets: one list of all of them."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from twin_assets.errors import BrokerUnavailable, SourceUnavailable, StoreUnavailable
from twin_assets.models.change import seconds_of

if TYPE_CHECKING:
    from twin_assets.operations.capture_progress import CaptureProgress
    from twin_assets.stream.steps import StreamProgress

SERVERS = tuple(each.server for each in (SourceUnavailable, BrokerUnavailable, StoreUnavailable))


@dataclass(frozen=True)
class Figure:
    """One family: its name without the suffix `_total`, its kind, its meaning, and the name of its label."""

    name: str
    kind: Literal["counter", "gauge"]
    help: str
    label: str = ""


DOCUMENTS = Figure("twin_documents", "counter", "Documents that went through the stream", "outcome")
CHUNKS = Figure("twin_chunks", "counter", "Chunks by where their vectors came from", "source")
EMBEDDING = Figure("twin_embedding_chunks_per_second", "gauge", "Chunks embedded per second, lately")
APPLIED_AGE = Figure(
    "twin_applied_age_seconds", "gauge", "Time since the position up to which all is applied"
)
PUBLISHED = Figure("twin_published_changes", "counter", "Changes that the broker has confirmed")
PUBLISHED_AGE = Figure("twin_published_age_seconds", "gauge", "How far capture is behind MongoDB")
RECOVERIES = Figure(
    "twin_recoveries", "counter", "How often capture lost its position and published all anew"
)
DEAD_LETTERS = Figure("twin_dead_letters", "counter", "Messages that became dead letters")
WAITING = Figure("twin_waiting", "gauge", "1 while the run waits for a server", "server")
REPORT_AGE = Figure("twin_report_age_seconds", "gauge", "Time since the run last told how it does")

FIGURES = (
    DOCUMENTS,
    CHUNKS,
    EMBEDDING,
    APPLIED_AGE,
    PUBLISHED,
    PUBLISHED_AGE,
    RECOVERIES,
    DEAD_LETTERS,
    WAITING,
    REPORT_AGE,
)

# A family, the value of its label, and its own value.
Sample = tuple[Figure, str, float]


def stream_samples(progress: StreamProgress, *, now: Callable[[], float] = time.time) -> Iterator[Sample]:
    """Yield what a stream's progress says."""
    counts = progress.counts
    changed = counts.documents - counts.unchanged - counts.deleted
    outcomes = {"changed": changed, "unchanged": counts.unchanged, "deleted": counts.deleted}
    for outcome, count in outcomes.items():
        yield DOCUMENTS, outcome, count
    sources = {
        "encoder": counts.chunks_embedded,
        "generation": counts.chunks_reused,
        "cache": counts.chunks_recalled,
    }
    for source, count in sources.items():
        yield CHUNKS, source, count
    yield EMBEDDING, "", progress.chunks_per_s
    if progress.watermark is not None:
        yield APPLIED_AGE, "", max(0.0, now() - seconds_of(progress.watermark))
    yield DEAD_LETTERS, "", progress.dead_letters
    yield from _waiting(progress.waiting_for)


def capture_samples(progress: CaptureProgress) -> Iterator[Sample]:
    """Yield what a capture's progress says."""
    yield PUBLISHED, "", progress.published
    yield PUBLISHED_AGE, "", progress.lag_s
    yield RECOVERIES, "", progress.recovered
    yield DEAD_LETTERS, "", progress.dead
    yield from _waiting(progress.waiting_for)


def _waiting(server: str) -> Iterator[Sample]:
    for each in SERVERS:
        yield WAITING, each, float(each == server)
