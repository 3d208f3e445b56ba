"""Recipes: everything that decides what a point is, so that equal recipes make equal points."""

from __future__ import annotations

from functools import cached_property
from typing import Literal

from twin_assets.models.base import TwinModel, stable_hash

Precision = Literal["float32", "int8"]

# Raised whenever the text or chunks of an unchanged document would come out differently.
PROCESSING_VERSION = 1


class CleanedRecipe(TwinModel):
    """How a document becomes cleaned text."""

    snapshot: Literal["cleaned"] = "cleaned"
    processing_version: int = PROCESSING_VERSION
    ascii_only: bool = False

    @cached_property
    def short(self) -> str:
        """Twelve hex digits: on every point, and the asset's code_version."""
        return stable_hash(self.model_dump(mode="json"))[:12]


class VectorRecipe(TwinModel):
    """How cleaned text becomes chunks (sizes in characters and tokens) and vectors."""

    snapshot: Literal["vector"] = "vector"
    cleaned: CleanedRecipe
    chunk_size: int
    chunk_overlap: int
    max_tokens: int
    model: str
    dimension: int
    instruction: str | None = None
    pooling: str = "mean"
    precision: Precision = "float32"

    @cached_property
    def short(self) -> str:
        """Twelve hex digits: on every point, in every chunk's id, and the asset's code_version."""
        # The usual precision is no part of it, since recipes were hashed before there was another.
        usual = {"precision"} if self.precision == "float32" else set()
        return stable_hash(self.model_dump(mode="json", exclude=usual))[:12]


Recipe = CleanedRecipe | VectorRecipe
