"""The door to the models: what one is, read from its files, and loading it once per process."""

from __future__ import annotations

import re
from threading import Lock
from typing import TYPE_CHECKING, Protocol

from twin_assets.errors import ModelUnavailable
from twin_assets.models.recipe import VectorRecipe
from twin_assets.processing.hash_encoder import HASH_MAX_TOKENS, HashEncoder
from twin_assets.processing.model_files import ModelDescription, describe_folder, find_model
from twin_assets.processing.splitter import TokenCounter

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np

SLICE = 16
_HASH_NAME = re.compile(r"hash-([1-9]\d{0,4})")

_loaded: dict[tuple[str, str | None], Encoder] = {}
_loading = Lock()


class Encoder(TokenCounter, Protocol):
    """A model that turns texts into unit vectors; safe to use from several threads."""

    model: str
    dimension: int

    def encode(self, texts: Sequence[str]) -> np.ndarray:
        """Return float32 (len(texts), dimension), rows of norm 1. Call it with at most SLICE texts."""


def describe_model(name: str) -> ModelDescription:
    """Return what a model is, from its JSON files alone. Raises ModelUnavailable where there are none."""
    hashed = _HASH_NAME.fullmatch(name)
    if hashed:
        return ModelDescription(int(hashed[1]), HASH_MAX_TOKENS, "hash", takes_instruction=False)
    return describe_folder(name, find_model(name))


def load_encoder(recipe: VectorRecipe) -> Encoder:
    """Return the recipe's encoder, loaded once per process.

    Raises ModelUnavailable where the weights are missing, or are not those that the recipe was made with.
    """
    with _loading:
        key = (recipe.model, recipe.instruction)
        if key not in _loaded:
            _loaded[key] = _load(recipe)
        encoder = _loaded[key]
    if (encoder.dimension, encoder.max_tokens) != (recipe.dimension, recipe.max_tokens):
        raise ModelUnavailable(
            recipe.model,
            f"its files say {encoder.dimension} dimensions and {encoder.max_tokens} tokens, "
            f"the recipe {recipe.dimension} and {recipe.max_tokens}",
        )
    return encoder


def _load(recipe: VectorRecipe) -> Encoder:
    description = describe_model(recipe.model)
    if description.pooling == "hash":
        return HashEncoder(description.dimension)
    folder = find_model(recipe.model)
    if recipe.instruction is None:
        from twin_assets.processing.sentence_encoder import SentenceEncoder  # noqa: PLC0415 - loads torch

        return SentenceEncoder(recipe.model, folder, description)
    from twin_assets.processing.instructor_encoder import InstructorEncoder  # noqa: PLC0415 - loads torch

    return InstructorEncoder(recipe.model, folder, description, recipe.instruction)
