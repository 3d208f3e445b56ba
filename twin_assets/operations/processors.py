"""The dispatchers for each recipe, built when first needed: one process loads one model once."""

from __future__ import annotations

from collections.abc import Sequence

from twin_assets.models.chunk import ChunkModel
from twin_assets.models.cleaned import CleanedModel
from twin_assets.models.embedded import EmbeddedChunkModel
from twin_assets.models.raw import RawModel
from twin_assets.models.recipe import CleanedRecipe, VectorRecipe
from twin_assets.processing.dispatch import ChunkingDispatcher, CleaningDispatcher, EmbeddingDispatcher
from twin_assets.processing.encoder import load_encoder


class Processors:
    """Cleans, chunks and embeds by recipe."""

    def __init__(self, *, max_chunks: int) -> None:
        self._max_chunks = max_chunks
        self._cleaning: dict[str, CleaningDispatcher] = {}
        self._chunking: dict[str, ChunkingDispatcher] = {}
        self._embedding: dict[str, EmbeddingDispatcher] = {}

    def clean(self, recipe: CleanedRecipe, raw: RawModel) -> CleanedModel:
        """Clean one document. Raises DocumentRejected."""
        if recipe.short not in self._cleaning:
            self._cleaning[recipe.short] = CleaningDispatcher(recipe)
        return self._cleaning[recipe.short].dispatch(raw)

    def chunk(self, recipe: VectorRecipe, cleaned: CleanedModel) -> tuple[ChunkModel, ...]:
        """Cut one document. Raises DocumentRejected, and ModelUnavailable for the tokenizer."""
        if recipe.short not in self._chunking:
            tokens = load_encoder(recipe)
            self._chunking[recipe.short] = ChunkingDispatcher(recipe, tokens, self._max_chunks)
        return tuple(self._chunking[recipe.short].dispatch(cleaned))

    def embed(self, recipe: VectorRecipe, chunks: Sequence[ChunkModel]) -> list[EmbeddedChunkModel]:
        """Embed chunks in one slice, equal texts once. Raises DocumentRejected, ModelUnavailable."""
        if not chunks:
            return []
        if recipe.short not in self._embedding:
            self._embedding[recipe.short] = EmbeddingDispatcher(recipe, load_encoder(recipe))
        return self._embedding[recipe.short].dispatch(chunks)
