"""Builds a new generation of one collection from MongoDB while the stream goes on, and switches to it.

Readers see the old generation until the new one has passed its checks; a crash anywhere leaves the
alias on one complete generation, and the next rebuild takes up the building one.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import chain, islice

from twin_assets.faults import FaultPoint, fault_point
from twin_assets.models.change import DeadLetter
from twin_assets.models.generation import Generation, GenerationStatus
from twin_assets.models.kinds import DataType, Snapshot
from twin_assets.models.recipe import VectorRecipe
from twin_assets.operations.apply import Applier
from twin_assets.operations.batch import Counts
from twin_assets.operations.context import StepContext
from twin_assets.operations.patience import Patience
from twin_assets.operations.processors import Processors
from twin_assets.operations.proof import prove_new
from twin_assets.operations.recognize import require_known
from twin_assets.operations.retention import drop_expired
from twin_assets.operations.scan import RebuildProgress, scan
from twin_assets.operations.twin import Twin
from twin_assets.processing.encoder import load_encoder
from twin_assets.processing.encoder_options import EncoderOptions
from twin_assets.processing.recipes import recipe_of

SAMPLE = 5


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
    fresh: bool = False,
    reuse_vectors: bool = True,
    progress: Callable[[RebuildProgress], None] | None = None,
    stop: threading.Event | None = None,
) -> RebuildReport:
    """Build, prove and switch. Raises GenerationRejected when the proof fails, and Stopped on a stop.

    `fresh` throws away what an earlier rebuild has begun; without `reuse_vectors` the encoder embeds
    everything. A server that is down when it begins is raised; one that goes away later is waited for. Raises
    CollectionsUnknown and ModelUnavailable, too.
    """
    started = time.monotonic()
    require_known(twin)
    _load_model(twin, snapshot, data_type)
    generation, is_resumed = _building(twin, snapshot, data_type, fresh=fresh, reuse_vectors=reuse_vectors)
    fault_point(FaultPoint.GENERATION_REGISTERED)
    twin.collections.create(generation)
    twin.meta.touch(generation.collection)
    fault_point(FaultPoint.COLLECTION_CREATED)
    patience = Patience(stop or threading.Event())
    processors = Processors.of(twin.settings)
    context = StepContext(twin, processors, patience, _AlreadyReported())
    donors = patience(partial(_donors, twin, generation))
    counts = scan(context, generation, donors=donors, progress=progress or _silent)
    patience(partial(prove_new, twin, Applier(context), generation, pause=patience.pause))
    fault_point(FaultPoint.PROVEN)
    patience(partial(twin.collections.switch, generation))
    fault_point(FaultPoint.ALIAS_SWITCHED)
    patience(partial(twin.meta.switch_live, generation.collection))
    if not twin.settings.standby_hours:
        patience(partial(drop_expired, twin))
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
        sample_ids=list(islice(chain.from_iterable(twin.store.head_entries(name)), SAMPLE)),
    )


class _AlreadyReported:
    """The stream reports refused documents; a rebuild meets the same ones and only quarantines them."""

    def publish_dead(self, letters: Sequence[DeadLetter]) -> None:
        """Drop the letters."""


def _load_model(twin: Twin, snapshot: Snapshot, data_type: DataType) -> None:
    """Have the model at hand, and converted, before a stream hears of the generation and needs it as well.

    A stream that converted it would bring nothing in step meanwhile. Raises ModelUnavailable.
    """
    recipe = recipe_of(twin.settings, snapshot, data_type)
    if isinstance(recipe, VectorRecipe):
        load_encoder(recipe, EncoderOptions.of(twin.settings))


def _building(
    twin: Twin, snapshot: Snapshot, data_type: DataType, *, fresh: bool, reuse_vectors: bool
) -> tuple[Generation, bool]:
    """Return the generation to fill, and whether an earlier rebuild had begun it."""
    recipe = recipe_of(twin.settings, snapshot, data_type)
    for found in twin.meta.generations(data_type):
        if found.snapshot is snapshot and found.status is GenerationStatus.BUILDING:
            is_of_use = found.since is not None and found.recipe.short == recipe.short
            if is_of_use and not fresh and (reuse_vectors or not found.reuse_vectors):
                return found, True
            if twin.collections.aliases().get(found.alias) == found.collection:
                # Readers see it already: a crash cut its switch in two.
                twin.meta.switch_live(found.collection)
            else:
                twin.collections.drop(found.collection)
                twin.meta.forget(found.collection)
    generation = twin.meta.register(
        snapshot=snapshot, data_type=data_type, recipe=recipe, reuse_vectors=reuse_vectors
    )
    return generation, False


def _donors(twin: Twin, generation: Generation) -> list[Generation]:
    """Return the generations that may have embedded the same text already, the live one first."""
    found = [
        other
        for other in twin.meta.generations(generation.type)
        if other.snapshot is generation.snapshot
        and other.recipe.short == generation.recipe.short
        and other.status in (GenerationStatus.LIVE, GenerationStatus.STANDBY)
    ]
    return sorted(found, key=lambda other: (other.status is not GenerationStatus.LIVE, -other.number))


def _silent(progress: RebuildProgress) -> None:
    """Report to nobody."""
