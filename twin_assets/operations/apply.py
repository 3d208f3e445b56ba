"""The one way of a document into Qdrant: fetch, clean, chunk, plan, embed, write. Engine-neutral.

The stream takes these steps for changes, a rebuild for everything; so both end in the same points.
Every step may be repeated, and a batch may be abandoned after any of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import TypeVar

from twin_assets.errors import ClusterTimeWentBack, DocumentRejected, GenerationMissing
from twin_assets.faults import FaultPoint, fault_point
from twin_assets.models.change import Change
from twin_assets.models.cleaned import CleanedModel
from twin_assets.models.generation import Generation, GenerationStatus
from twin_assets.models.kinds import DataType
from twin_assets.operations.batch import Batch, Counts, GenerationShare, Item
from twin_assets.operations.context import StepContext
from twin_assets.operations.embed import embed_batch, embed_chunks
from twin_assets.operations.recognize import require_known
from twin_assets.processing.dispatch import RawDispatcher
from twin_assets.source.documents import SourceRead
from twin_assets.store.plan import Action, DocumentPlan
from twin_assets.store.writer import GenerationWriter

T = TypeVar("T")
Upstream = Callable[[Sequence[Item]], Mapping[str, CleanedModel]]


class Applier:
    """Carries batches of documents through the steps. One per thread."""

    def __init__(self, context: StepContext) -> None:
        self._context = context
        self._twin = context.twin
        self._patience = context.patience

    def fetch(self, changes: Iterable[Change]) -> Batch:
        """Read the current state of the changed documents; only then ask which generations exist.

        Raises ClusterTimeWentBack when the read is older than a change that led to it.
        """
        wanted: dict[DataType, set[str]] = {}
        forced, newest = set(), 0
        for change in changes:
            wanted.setdefault(change.type, set()).add(change.entry)
            if change.force:
                forced.add(change.key)
            else:
                newest = max(newest, change.revision)
        read = self._patience(partial(self._twin.source.read, wanted, at_least=newest))
        fault_point(FaultPoint.READ)
        targets = self._targets(wanted, revision=read.revision)
        return self.batch_of(read, targets=targets, forced=forced)

    def batch_of(
        self, read: SourceRead, *, targets: dict[DataType, list[Generation]], forced: Iterable[str] = ()
    ) -> Batch:
        """Return a batch of everything that was read."""
        keys = set(forced)
        items = [Item(data_type, entry, document) for (data_type, entry), document in read.documents.items()]
        for item in items:
            item.force = item.key in keys
        return Batch(read.revision, items, targets)

    def clean(self, batch: Batch, *, upstream: Upstream | None = None) -> Batch:
        """Validate and clean, once per distinct recipe; `upstream` offers text that is cleaned already."""
        for item in batch.items:
            if item.document is not None and item.rejected is None:
                self._validate(item)
        offered = upstream(batch.items) if upstream else {}
        for item in batch.items:
            if item.raw is None:
                continue
            for recipe in batch.cleaned_recipes(item.type):
                if item.key in offered:
                    item.cleaned[recipe.short] = offered[item.key]
                    batch.counts.from_cleaned += 1
                else:
                    item.cleaned[recipe.short] = _or_rejection(
                        partial(self._context.processors.clean, recipe, item.raw)
                    )
        return batch

    def chunk(self, batch: Batch) -> Batch:
        """Cut the cleaned text, once per distinct recipe."""
        for item in batch.items:
            for recipe in batch.vector_recipes(item.type):
                cleaned = item.cleaned.get(recipe.cleaned.short)
                if isinstance(cleaned, CleanedModel):
                    item.chunks[recipe.short] = _or_rejection(
                        partial(self._context.processors.chunk, recipe, cleaned)
                    )
        return batch

    def plan(self, batch: Batch) -> Batch:
        """Compare with what each generation holds, and report what was refused for the first time."""
        batch.shares = [
            share
            for data_type, generations in batch.targets.items()
            for generation in generations
            if (share := self._share(batch, data_type, generation)) is not None
        ]
        self._refuse_the_future(batch)
        self._context.send_away(batch, batch.newly_rejected())
        fault_point(FaultPoint.PLANNED)
        return batch

    def embed(self, batch: Batch) -> Batch:
        """Embed new text and store it slice by slice. Raises Stopped between two slices."""
        return embed_batch(self._context, batch)

    def write(self, batch: Batch) -> Counts:
        """Finish the write in every generation. Returns only when all of it is durable."""
        for share in batch.shares:
            embed = partial(embed_chunks, self._context, batch, share.generation)
            finish = partial(share.writer.finish, share.plans, embed=embed)
            overtaken = self._context.unless_dropped(share.generation, finish)
            batch.counts.overtaken += len(overtaken or [])
            fault_point(FaultPoint.GENERATION_WRITTEN)
        _count(batch)
        return batch.counts

    def apply(self, batch: Batch, *, upstream: Upstream | None = None) -> Counts:
        """Take a batch through all steps after the read."""
        return self.write(self.embed(self.plan(self.chunk(self.clean(batch, upstream=upstream)))))

    def _targets(self, types: Iterable[DataType], *, revision: int) -> dict[DataType, list[Generation]]:
        generations = self._patience(self._twin.meta.generations)
        targets = {
            data_type: [
                found
                for found in generations
                if found.type is data_type
                and found.status is not GenerationStatus.RETIRED
                and found.since is not None
                and found.since <= revision
            ]
            for data_type in types
        }
        for data_type, found in targets.items():
            if not found:
                self._patience(partial(require_known, self._twin))
                raise GenerationMissing(f"cleaned_{data_type.value} nor vector_{data_type.value}")
        return targets

    def _validate(self, item: Item) -> None:
        try:
            item.raw = RawDispatcher.dispatch(item.type, item.entry, item.document or {})
        except DocumentRejected as rejection:
            item.rejected = rejection

    def _share(self, batch: Batch, data_type: DataType, generation: Generation) -> GenerationShare | None:
        items = [item for item in batch.items if item.type is data_type]
        wanted = [item.wanted(generation.recipe) for item in items]
        writer = GenerationWriter(self._twin.store, generation, revision=batch.revision)

        def plan() -> list[DocumentPlan]:
            if any(document.force for document in wanted):
                writer.override(wanted, above=self._twin.source.now())
            return writer.plan(wanted)

        plans = self._context.unless_dropped(generation, plan)
        return None if plans is None else GenerationShare(generation, writer, plans)

    def _refuse_the_future(self, batch: Batch) -> None:
        """Tell a rival's newer write from one that no clock of this cluster has reached."""
        newest = max(
            (plan.head.revision for share in batch.shares for plan in share.plans if plan.head), default=0
        )
        if newest > batch.revision:
            now = self._patience(self._twin.source.now)
            if newest > now:
                raise ClusterTimeWentBack(stored=newest, now=now)


def _or_rejection(call: Callable[[], T]) -> T | DocumentRejected:
    try:
        return call()
    except DocumentRejected as rejection:
        return rejection


def _count(batch: Batch) -> None:
    actions: dict[str, set[Action]] = {}
    for share in batch.shares:
        for plan in share.plans:
            actions.setdefault(plan.wanted.key, set()).add(plan.action)
            batch.counts.chunks_written += len(plan.new)
    batch.counts.documents += len(actions)
    batch.counts.unchanged += sum(found <= {Action.TOUCH, Action.SKIP} for found in actions.values())
    batch.counts.deleted += sum(Action.DELETE in found for found in actions.values())
