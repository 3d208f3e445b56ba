"""Recipes: everything that decides what a point is, so that equal recipes make equal points."""

from __future__ import annotations

from functools import cached_property
from typing import Literal

from twin_assets.models.base import TwinModel, stable_hash

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

    @cached_property
    def short(self) -> str:
        """Twelve hex digits: on every point, in every chunk's id, and the asset's code_version."""
        return stable_hash(self.model_dump(mode="json"))[:12]


Recipe = CleanedRecipe | VectorRecipe
