"""The expensive step: vectors for new text only, equal text once, in short slices that are stored at once."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial
from typing import TypeVar

from twin_assets.errors import DocumentRejected
from twin_assets.models.chunk import ChunkModel
from twin_assets.models.embedded import EmbeddedChunkModel
from twin_assets.models.generation import Generation
from twin_assets.models.recipe import VectorRecipe
from twin_assets.operations.batch import Batch, GenerationShare
from twin_assets.operations.context import StepContext
from twin_assets.processing.encoder import SLICE
from twin_assets.store.plan import DocumentPlan

Placed = tuple[GenerationShare, DocumentPlan, ChunkModel]
T = TypeVar("T")


def embed_batch(context: StepContext, batch: Batch) -> Batch:
    """Embed what the plans call new. Looks at the stop before every slice; raises Stopped.

    What is stored survives a crash: a redelivery goes on where this attempt stopped.
    """
    work: dict[tuple[str, str], list[Placed]] = {}
    for share in batch.shares:
        for plan in share.plans:
            for chunk in plan.new:
                key = (share.generation.recipe.short, chunk.content)
                work.setdefault(key, []).append((share, plan, chunk))
    # Texts of like length share a slice, since the encoder pads to the longest.
    ordered = sorted(work, key=lambda key: (key[0], len(key[1])))
    for slice_ in slices_by_recipe(ordered):
        context.patience.check()
        _embed_slice(context, batch, [placed for key in slice_ for placed in work[key]])
    return batch


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


def _embed_slice(context: StepContext, batch: Batch, placed: Sequence[Placed]) -> None:
    if not placed:
        return
    recipe = _vector_recipe(placed[0][0].generation)
    try:
        embedded = context.processors.embed(recipe, [chunk for _, _, chunk in placed])
    except DocumentRejected as rejection:
        rest = [found for found in placed if found[1].wanted.key != rejection.key]
        if len(rest) == len(placed):
            raise
        _withdraw(context, batch, rejection)
        _embed_slice(context, batch, rest)
        return
    batch.counts.chunks_embedded += len({chunk.content for _, _, chunk in placed})
    for share in batch.shares:
        mine = [(plan, row) for (owner, plan, _), row in zip(placed, embedded, strict=True) if owner is share]
        if mine:
            context.unless_dropped(share.generation, partial(share.writer.stage, mine))


def _withdraw(context: StepContext, batch: Batch, rejection: DocumentRejected) -> None:
    """Quarantine a document that an encoder refused, in all vector generations of its type."""
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
            share.plans = others + context.patience(partial(share.writer.plan, [wanted]))
    context.send_away(batch, [(item, rejection)])


def _vector_recipe(generation: Generation) -> VectorRecipe:
    if not isinstance(generation.recipe, VectorRecipe):
        raise TypeError(f"{generation.collection} holds no vectors")
    return generation.recipe
