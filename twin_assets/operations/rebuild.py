"""Builds a new generation of one collection from MongoDB while the stream goes on, and switches to it.

Readers see the old generation until the new one has passed its checks; a crash anywhere leaves the
alias on one complete generation, and the next rebuild takes up the building one.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

from twin_assets.errors import RebuildRejected, SourceUnavailable
from twin_assets.faults import FaultPoint, fault_point
from twin_assets.models.base import DataType, Snapshot, document_key
from twin_assets.models.change import DeadLetter
from twin_assets.models.cleaned import CleanedModel
from twin_assets.models.generation import Generation, GenerationStatus
from twin_assets.operations.apply import Applier
from twin_assets.operations.audit import audit
from twin_assets.operations.batch import Counts, Item
from twin_assets.operations.checks import check_generation
from twin_assets.operations.context import StepContext
from twin_assets.operations.lineage import CleanedSnapshot
from twin_assets.operations.patience import Patience
from twin_assets.operations.processors import Processors
from twin_assets.operations.twin import Twin
from twin_assets.processing.recipes import recipe_of
from twin_assets.source.documents import SourceRead

SCAN_BATCH = 100
HEALING_ROUNDS = 2
PROOF_WAIT_S = 30.0


@dataclass(frozen=True)
class RebuildProgress:
    """How far a scan has come."""

    documents: int
    total: int
    chunks_embedded: int
    seconds: float

    @property
    def chunks_per_s(self) -> float:
        """Chunks embedded per second so far."""
        return self.chunks_embedded / self.seconds if self.seconds else 0.0


@dataclass(frozen=True)
class RebuildReport:
    """What a rebuild did; `documents` and `chunks` are what the new generation holds."""

    generation: Generation
    documents: int
    chunks: int
    quarantined: int
    counts: Counts
    seconds: float
    is_resumed: bool
    sample_ids: list[str] = field(default_factory=list)


def rebuild(
    twin: Twin,
    snapshot: Snapshot,
    data_type: DataType,
    *,
    progress: Callable[[RebuildProgress], None] | None = None,
    stop: threading.Event | None = None,
) -> RebuildReport:
    """Build, prove and switch. Raises RebuildRejected when the proof fails, and Stopped on a stop.

    A server that is down when it begins is raised; one that goes away later is waited for.
    """
    started = time.monotonic()
    generation, is_resumed = _building(twin, snapshot, data_type)
    fault_point(FaultPoint.GENERATION_REGISTERED)
    twin.collections.create(generation)
    fault_point(FaultPoint.COLLECTION_CREATED)
    patience = Patience(stop or threading.Event())
    processors = Processors(max_chunks=twin.settings.max_chunks)
    context = StepContext(twin, processors, patience, _AlreadyReported())
    counts = _scan(context, generation, started=started, progress=progress or _silent)
    patience(partial(_prove, twin, Applier(context), generation))
    fault_point(FaultPoint.PROVEN)
    patience(partial(twin.collections.switch, generation))
    fault_point(FaultPoint.ALIAS_SWITCHED)
    patience(partial(twin.meta.switch_live, generation.collection))
    seconds = time.monotonic() - started
    return patience(partial(_report, twin, generation, counts, seconds=seconds, is_resumed=is_resumed))


def _report(
    twin: Twin, generation: Generation, counts: Counts, *, seconds: float, is_resumed: bool
) -> RebuildReport:
    name = generation.collection
    return RebuildReport(
        generation=generation,
        documents=twin.store.count_documents(name),
        chunks=twin.store.count_chunks(name),
        quarantined=twin.store.count_quarantined(name),
        counts=counts,
        seconds=seconds,
        is_resumed=is_resumed,
        sample_ids=[entry for page in twin.store.head_entries(name) for entry in page][:5],
    )


class _AlreadyReported:
    """The stream reports refused documents; a rebuild meets the same ones and only quarantines them."""

    def publish_dead(self, letters: Sequence[DeadLetter]) -> None:
        """Drop the letters."""


def _building(twin: Twin, snapshot: Snapshot, data_type: DataType) -> tuple[Generation, bool]:
    """Return the generation to fill, and whether an earlier rebuild had begun it."""
    recipe = recipe_of(twin.settings, snapshot, data_type)
    for found in twin.meta.generations(data_type):
        if found.snapshot is snapshot and found.status is GenerationStatus.BUILDING:
            if found.since is not None and found.recipe.short == recipe.short:
                return found, True
            if twin.collections.aliases().get(found.alias) == found.collection:
                # Readers see it already: a crash cut its switch in two.
                twin.meta.switch_live(found.collection)
            else:
                twin.collections.drop(found.collection)
                twin.meta.forget(found.collection)
    return twin.meta.register(snapshot=snapshot, data_type=data_type, recipe=recipe), False


def _scan(
    context: StepContext,
    generation: Generation,
    *,
    started: float,
    progress: Callable[[RebuildProgress], None],
) -> Counts:
    counts, applier = Counts(), Applier(context)
    total = context.patience(partial(context.twin.source.count, generation.type))
    cleaned = context.patience(partial(CleanedSnapshot, context.twin, generation))
    targets = {generation.type: [generation]}

    def upstream(items: Sequence[Item]) -> Mapping[str, CleanedModel]:
        return context.patience(partial(cleaned, items))

    for read in _read_all(context, generation):
        counts.add(applier.apply(applier.batch_of(read, targets=targets), upstream=upstream))
        fault_point(FaultPoint.BATCH_SCANNED)
        progress(RebuildProgress(counts.documents, total, counts.chunks_embedded, time.monotonic() - started))
    return counts


def _read_all(context: StepContext, generation: Generation) -> Iterator[SourceRead]:
    """Read every document; where MongoDB was away, go on behind the last one that was read."""
    source, after = context.twin.source, None
    while True:
        try:
            for read in source.scan(
                generation.type, batch_size=SCAN_BATCH, at_least=generation.since or 0, after=after
            ):
                yield read
                after = next((entry for _, entry in reversed(read.documents)), after)
        except SourceUnavailable:
            context.patience(source.now)
        else:
            return


def _prove(twin: Twin, applier: Applier, generation: Generation) -> None:
    """Audit the new generation; read again what differs, and let it go live only when nothing does."""
    report = audit(twin, generation, wait_s=PROOF_WAIT_S, with_vectors=True)
    for _ in range(HEALING_ROUNDS):
        entries = report.differing_entries()
        if not entries:
            break
        _heal(twin, applier, generation, entries)
        report = audit(twin, generation, wait_s=PROOF_WAIT_S, with_vectors=True)
    failed = [result for result in check_generation(twin, generation, report) if not result.passed]
    if failed:
        lines = "; ".join(f"{result.check}: {result.metadata}" for result in failed)
        raise RebuildRejected(
            f"{generation.collection} did not pass and is kept for inspection, the live one stays: {lines}"
        )


def _heal(twin: Twin, applier: Applier, generation: Generation, entries: Sequence[str]) -> None:
    """Read documents once more: those that changed during the scan while no stream was running."""
    read = twin.source.read({generation.type: entries})
    forced = [document_key(generation.type, entry) for entry in entries]
    applier.apply(applier.batch_of(read, targets={generation.type: [generation]}, forced=forced))


def _silent(progress: RebuildProgress) -> None:
    """Report to nobody."""
