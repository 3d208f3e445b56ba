from __future__ import annotations

from typing import Any

import pytest
from pydantic import TypeAdapter

from twin_assets.models.recipe import PROCESSING_VERSION, CleanedRecipe, Recipe, VectorRecipe

VECTOR = VectorRecipe(
    cleaned=CleanedRecipe(), chunk_size=500, chunk_overlap=50, max_tokens=256, model="hash-8", dimension=8
)


@pytest.mark.parametrize(
    "fields",
    [
        {"cleaned": CleanedRecipe(ascii_only=True)},
        {"cleaned": CleanedRecipe(processing_version=PROCESSING_VERSION + 1)},
        {"chunk_size": 501},
        {"chunk_overlap": 51},
        {"max_tokens": 128},
        {"model": "hash-9"},
        {"dimension": 9},
        {"instruction": "Represent"},
        {"pooling": "cls"},
    ],
)
def test_everything_that_decides_a_point_is_in_the_short_hash(fields: dict[str, Any]) -> None:
    assert VECTOR.model_copy(update=fields).short != VECTOR.short


@pytest.mark.parametrize("recipe", [CleanedRecipe(), VECTOR])
def test_recipe_survives_the_registry(recipe: Recipe) -> None:
    adapter: TypeAdapter[Recipe] = TypeAdapter(Recipe)
    read = adapter.validate_python(recipe.model_dump(mode="json"))
    assert read == recipe
    assert read.short == recipe.short
    assert len(recipe.short) == 12


def test_short_hash_is_the_same_in_every_process() -> None:
    assert CleanedRecipe(processing_version=1).short == "e309b99f08d6"
