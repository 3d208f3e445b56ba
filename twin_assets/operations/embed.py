"""The expensive step: vectors for new text only, equal text once, in short slices that are stored at once.

Text that another generation of the same recipe has embedded takes its vector from there, and text that this
process has embedded before takes the vector that it got then.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from types import TracebackType
from typing import Self, TypeVar

from twin_assets.errors import DocumentRejected
from twin_assets.faults import FaultPoint, fault_point
from twin_assets.models.chunk import ChunkModel
from twin_assets.models.embedded import EmbeddedChunkModel
from twin_assets.models.generation import Generation
from twin_assets.models.recipe import VectorRecipe
from twin_assets.operations.batch import Batch
from twin_assets.operations.context import StepContext
from twin_assets.operations.reuse import Placed, reusable
from twin_assets.processing.encoder import SLICE
from twin_assets.store.plan import Action

T = TypeVar("T")


def embed_batch(context: StepContext, batch: Batch) -> Batch:
    """Embed what the plans call new. Looks at the stop before every slice; raises Stopped.

    What is stored survives a crash: a redelivery goes on where this attempt stopped.
    """
    with _Staging(context, batch) as staging:
        reused = _reuse(context, batch, staging)
        work: dict[tuple[str, str], list[Placed]] = {}
        for share in batch.shares:
            for plan in share.plans:
                for chunk in plan.new:
                    if (share.generation.collection, chunk.point_id) not in reused:
                        key = (share.generation.recipe.short, chunk.content)
                        work.setdefault(key, []).append((share, plan, chunk))
        _recall(context, batch, work, staging)
        # Texts of like length share a slice, since the encoder pads to the longest.
        ordered = sorted(work, key=lambda key: (key[0], len(key[1])))
        for slice_ in slices_by_recipe(ordered):
            context.patience.check()
            _embed_slice(context, batch, [placed for key in slice_ for placed in work[key]], staging)
    return batch


def _reuse(context: StepContext, batch: Batch, staging: _Staging) -> set[tuple[str, str]]:
    """Store the chunks whose vectors are at hand; return them by collection and point id."""
    done: set[tuple[str, str]] = set()
    for placed, embedded in reusable(context, batch):
        context.patience.check()
        done.update((share.generation.collection, chunk.point_id) for share, _, chunk in placed)
        batch.counts.chunks_reused += len(placed)
        staging.store(placed, embedded)
    return done


def _recall(
    context: StepContext, batch: Batch, work: dict[tuple[str, str], list[Placed]], staging: _Staging
) -> None:
    """Store what was embedded before, and take it out of the work; not where all is to be embedded anew."""
    recalled: dict[tuple[str, str], list[EmbeddedChunkModel]] = {}
    for key, placed in work.items():
        if all(share.generation.reuse_vectors and not plan.wanted.force for share, plan, _ in placed):
            recipe = _vector_recipe(placed[0][0].generation)
            embedded = context.processors.recall(recipe, [chunk for _, _, chunk in placed])
            if embedded is not None:
                recalled[key] = embedded
    for slice_ in slices_by_recipe(sorted(recalled)):
        context.patience.check()
        placed = [found for key in slice_ for found in work.pop(key)]
        batch.counts.chunks_recalled += len(placed)
        staging.store(placed, [each for key in slice_ for each in recalled[key]])


class _Staging:
    """Stores a slice while the next one is embedded: one in flight, and none left at the end."""

    def __init__(self, context: StepContext, batch: Batch) -> None:
        self._context = context
        self._batch = batch
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="twin staging")
        self._in_flight: Future[None] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self.settle()
        finally:
            self._thread.shutdown()

    def store(self, placed: Sequence[Placed], embedded: Sequence[EmbeddedChunkModel]) -> None:
        """Store a slice, as soon as the one before it is stored. Raises what befell that one."""
        self.settle()
        self._in_flight = self._thread.submit(self._store, placed, embedded)

    def settle(self) -> None:
        """Return once everything is stored."""
        in_flight, self._in_flight = self._in_flight, None
        if in_flight is not None:
            in_flight.result()

    def _store(self, placed: Sequence[Placed], embedded: Sequence[EmbeddedChunkModel]) -> None:
        for share in self._batch.shares:
            mine = [
                (plan, row) for (owner, plan, _), row in zip(placed, embedded, strict=True) if owner is share
            ]
            if mine:
                self._context.unless_dropped(share.generation, partial(share.writer.stage, mine))
        self._batch.on_stored()
        fault_point(FaultPoint.STAGED)


def embed_chunks(
    context: StepContext, batch: Batch, generation: Generation, chunks: Sequence[ChunkModel]
) -> list[EmbeddedChunkModel]:
    """Embed chunks that a rival had deleted from a generation meanwhile."""
    embedded: list[EmbeddedChunkModel] = []
    for start in range(0, len(chunks), SLICE):
        context.patience.check()
        embedded += context.processors.embed(_vector_recipe(generation), chunks[start : start + SLICE])
    batch.counts.chunks_embedded += len(embedded)
    return embedded


def slices_by_recipe(keys: Sequence[tuple[str, T]]) -> Iterable[list[tuple[str, T]]]:
    """Cut keys, sorted by recipe, into slices of one recipe and at most SLICE texts."""
    slice_: list[tuple[str, T]] = []
    for key in keys:
        if slice_ and (len(slice_) == SLICE or slice_[0][0] != key[0]):
            yield slice_
            slice_ = []
        slice_.append(key)
    if slice_:
        yield slice_


def _embed_slice(context: StepContext, batch: Batch, placed: Sequence[Placed], staging: _Staging) -> None:
    placed = [found for found in placed if found[1].wanted.key not in batch.withdrawn]
    if not placed:
        return
    recipe = _vector_recipe(placed[0][0].generation)
    try:
        embedded = context.processors.embed(recipe, [chunk for _, _, chunk in placed])
    except DocumentRejected as rejection:
        if all(found[1].wanted.key != rejection.key for found in placed):
            raise
        # What is taken back must have arrived.
        staging.settle()
        _withdraw(context, batch, rejection)
        _embed_slice(context, batch, placed, staging)
        return
    batch.counts.chunks_embedded += len({chunk.content for _, _, chunk in placed})
    staging.store(placed, embedded)


def _withdraw(context: StepContext, batch: Batch, rejection: DocumentRejected) -> None:
    """Quarantine a document that an encoder refused, in all vector generations of its type.

    It is reported where one of them quarantines this version for the first time.
    """
    batch.withdrawn.add(rejection.key)
    is_known = True
    item = next(found for found in batch.items if found.key == rejection.key)
    for recipe in batch.vector_recipes(item.type):
        item.chunks[recipe.short] = rejection
    for share in batch.shares:
        if isinstance(share.generation.recipe, VectorRecipe) and share.generation.type is item.type:
            for plan in share.plans:
                if plan.wanted.key == item.key:
                    context.unless_dropped(share.generation, partial(share.writer.unstage, plan))
            others = [plan for plan in share.plans if plan.wanted.key != item.key]
            wanted = item.wanted(share.generation.recipe)
            anew = context.patience(partial(share.writer.plan, [wanted]))
            share.plans = others + anew
            is_known &= all(plan.action is not Action.QUARANTINE for plan in anew)
    if not is_known:
        context.send_away(batch, [(item, rejection)])


def _vector_recipe(generation: Generation) -> VectorRecipe:
    if not isinstance(generation.recipe, VectorRecipe):
        raise TypeError(f"{generation.collection} holds no vectors")
    return generation.recipe
