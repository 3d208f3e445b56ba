"""The door to the models: what one is, read from its files, and loading it once per process."""

from __future__ import annotations

import re
from threading import Lock
from typing import TYPE_CHECKING, Protocol

from twin_assets.errors import ModelUnavailable
from twin_assets.models.recipe import Precision, VectorRecipe
from twin_assets.processing.hash_encoder import HASH_MAX_TOKENS, HashEncoder
from twin_assets.processing.model_files import ModelDescription, describe_folder, find_model
from twin_assets.processing.splitter import TokenCounter

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np

    from twin_assets.processing.encoder_options import EncoderOptions

SLICE = 16
_HASH_NAME = re.compile(r"hash-([1-9]\d{0,4})")

_loaded: dict[tuple[str, str | None, Precision, EncoderOptions], Encoder] = {}
_loading: dict[tuple[str, str | None, Precision, EncoderOptions], Lock] = {}
_making_locks = Lock()


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


def load_encoder(recipe: VectorRecipe, options: EncoderOptions) -> Encoder:
    """Return the recipe's encoder, loaded once per process; one that is loaded waits for no other.

    Raises ModelUnavailable where the weights are missing, are not those that the recipe was made with, or
    cannot be run as the options ask.
    """
    key = (recipe.model, recipe.instruction, recipe.precision, options)
    with _making_locks:
        loading = _loading.setdefault(key, Lock())
    with loading:
        if key not in _loaded:
            _loaded[key] = _load(recipe, options)
        encoder = _loaded[key]
    if (encoder.dimension, encoder.max_tokens) != (recipe.dimension, recipe.max_tokens):
        raise ModelUnavailable(
            recipe.model,
            f"its files say {encoder.dimension} dimensions and {encoder.max_tokens} tokens, "
            f"the recipe {recipe.dimension} and {recipe.max_tokens}",
        )
    return encoder


def _load(recipe: VectorRecipe, options: EncoderOptions) -> Encoder:
    description = describe_model(recipe.model)
    if description.pooling == "hash":
        return HashEncoder(description.dimension)
    from twin_assets.processing.backends import make_encoder  # noqa: PLC0415 - only who has a model needs it
    from twin_assets.processing.networks.converted import ModelFiles  # noqa: PLC0415 - the same

    prompt = None if recipe.instruction is None else prompt_of(recipe.instruction)
    folder = find_model(recipe.model)
    files = ModelFiles(recipe.model, folder, description.max_tokens, prompt, precision=recipe.precision)
    return make_encoder(files, description, options)


def prompt_of(instruction: str) -> str:
    """Return an instruction as its model was trained to read it: `Represent the … for …: `."""
    return f"{instruction.strip().rstrip(':').rstrip()}: "
