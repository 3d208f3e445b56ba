"""What a generation's collection looks like in Qdrant: vectors, payload indexes, recipe."""

from __future__ import annotations

from typing import Any

from qdrant_client import models as q

from twin_assets.models.generation import Generation
from twin_assets.models.recipe import VectorRecipe

PAYLOAD_INDEXES: dict[str, q.PayloadSchemaType] = {
    "entry": q.PayloadSchemaType.KEYWORD,
    "id": q.PayloadSchemaType.KEYWORD,
    "author_id": q.PayloadSchemaType.KEYWORD,
    "owner_id": q.PayloadSchemaType.KEYWORD,
    "type": q.PayloadSchemaType.KEYWORD,
    "revision": q.PayloadSchemaType.INTEGER,
    "head": q.PayloadSchemaType.BOOL,
    "deleted": q.PayloadSchemaType.BOOL,
}


def vectors_config(generation: Generation) -> q.VectorParams | dict[str, q.VectorParams]:
    """One unnamed cosine vector, so that any client reads it; none in a cleaned collection."""
    if isinstance(generation.recipe, VectorRecipe):
        return q.VectorParams(size=generation.recipe.dimension, distance=q.Distance.COSINE)
    return {}


def collection_metadata(generation: Generation) -> dict[str, Any]:
    """Return what the collection says of itself: the recipe in full and its short hash."""
    return {
        "type": generation.type.value,
        "recipe": generation.recipe.model_dump(mode="json"),
        "recipe_hash": generation.recipe.short,
    }
