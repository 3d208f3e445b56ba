"""Vectors that need no encoder: another generation of the same recipe has embedded the same text already.

A chunk has the same id in all of them, so one read by id finds what there is; text and vector are verified.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from twin_assets.errors import GenerationMissing
from twin_assets.models.chunk import ChunkModel
from twin_assets.models.embedded import EMBEDDED_MODELS, EmbeddedChunkModel
from twin_assets.models.generation import Generation
from twin_assets.models.recipe import VectorRecipe
from twin_assets.operations.batch import Batch, GenerationShare
from twin_assets.operations.context import StepContext
from twin_assets.store.plan import Action, DocumentPlan
from twin_assets.store.point_store import VECTOR_PAGE
from twin_assets.store.points import StoredVector

Placed = tuple[GenerationShare, DocumentPlan, ChunkModel]


def reusable(context: StepContext, batch: Batch) -> Iterator[tuple[list[Placed], list[EmbeddedChunkModel]]]:
    """Yield new chunks of a batch with the vectors that another generation has of them, page by page.

    Nothing is reused for a forced document, nor by a generation that was told to embed everything itself.
    """
    for share in batch.shares:
        if not isinstance(share.generation.recipe, VectorRecipe) or not share.generation.reuse_vectors:
            continue
        wanted = [(share, plan, chunk) for plan in share.plans if not plan.wanted.force for chunk in plan.new]
        for donor in _donors(batch, share.generation):
            held = _may_hold(batch, donor)
            left = wanted if held is None else [found for found in wanted if found[2].point_id in held]
            taken: set[str] = set()
            for start in range(0, len(left), VECTOR_PAGE):
                placed, embedded = _take(context, donor, left[start : start + VECTOR_PAGE])
                taken.update(chunk.point_id for _, _, chunk in placed)
                if placed:
                    yield placed, embedded
            wanted = [found for found in wanted if found[2].point_id not in taken]


def _donors(batch: Batch, generation: Generation) -> list[Generation]:
    """Return the other generations of a recipe: those the batch goes to, and those it may only read."""
    known = {
        found.collection: found
        for found in [*batch.donors, *(share.generation for share in batch.shares)]
        if found.recipe.short == generation.recipe.short and found.type is generation.type
    }
    known.pop(generation.collection, None)
    return list(known.values())


def _may_hold(batch: Batch, donor: Generation) -> set[str] | None:
    """Return the ids of chunks that a donor has by its plans; None where the batch does not go to it."""
    shares = [share for share in batch.shares if share.generation.collection == donor.collection]
    if not shares:
        return None
    return {
        chunk.point_id
        for plan in shares[0].plans
        for chunk in (plan.wanted.chunks if plan.action is Action.TOUCH else [kept for kept, _ in plan.kept])
    }


def _take(
    context: StepContext, donor: Generation, wanted: Sequence[Placed]
) -> tuple[list[Placed], list[EmbeddedChunkModel]]:
    ids = [chunk.point_id for _, _, chunk in wanted]

    def read() -> dict[str, StoredVector]:
        try:
            return context.twin.store.vectors(donor.collection, ids)
        except GenerationMissing:  # dropped a moment ago, or not created yet
            return {}

    found = context.patience(read)
    placed, embedded = [], []
    for each in wanted:
        chunk = each[2]
        stored = found.get(chunk.point_id)
        if stored is not None and stored.content == chunk.content:
            placed.append(each)
            embedded.append(EMBEDDED_MODELS[chunk.data_type](chunk=chunk, vector=stored.vector))
    return placed, embedded
