"""The dispatchers for each recipe, built when first needed: one process loads one model once.

Vectors that the process has computed are remembered, up to a size.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Self

from twin_assets.models.chunk import ChunkModel
from twin_assets.models.cleaned import CleanedModel
from twin_assets.models.embedded import EMBEDDED_MODELS, EmbeddedChunkModel
from twin_assets.models.raw import RawModel
from twin_assets.models.recipe import CleanedRecipe, VectorRecipe
from twin_assets.operations.vector_cache import VectorCache
from twin_assets.processing.dispatch import ChunkingDispatcher, CleaningDispatcher, EmbeddingDispatcher
from twin_assets.processing.encoder import load_encoder
from twin_assets.processing.encoder_options import EncoderOptions
from twin_assets.settings import Settings


class Processors:
    """Cleans, chunks and embeds by recipe."""

    def __init__(
        self, *, max_chunks: int, cache_mb: float = 0, options: EncoderOptions | None = None
    ) -> None:
        self._max_chunks = max_chunks
        self._options = options or EncoderOptions()
        self._cache = VectorCache(int(cache_mb * 2**20))
        self._cleaning: dict[str, CleaningDispatcher] = {}
        self._chunking: dict[str, ChunkingDispatcher] = {}
        self._embedding: dict[str, EmbeddingDispatcher] = {}

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """Return what the settings ask for."""
        return cls(
            max_chunks=settings.max_chunks,
            cache_mb=settings.embedding_cache_mb,
            options=EncoderOptions.of(settings),
        )

    def clean(self, recipe: CleanedRecipe, raw: RawModel) -> CleanedModel:
        """Clean one document. Raises DocumentRejected."""
        if recipe.short not in self._cleaning:
            self._cleaning[recipe.short] = CleaningDispatcher(recipe)
        return self._cleaning[recipe.short].dispatch(raw)

    def chunk(self, recipe: VectorRecipe, cleaned: CleanedModel) -> tuple[ChunkModel, ...]:
        """Cut one document. Raises DocumentRejected, and ModelUnavailable for the tokenizer."""
        if recipe.short not in self._chunking:
            tokens = load_encoder(recipe, self._options)
            self._chunking[recipe.short] = ChunkingDispatcher(recipe, tokens, self._max_chunks)
        return tuple(self._chunking[recipe.short].dispatch(cleaned))

    def embed(self, recipe: VectorRecipe, chunks: Sequence[ChunkModel]) -> list[EmbeddedChunkModel]:
        """Embed chunks in one slice, equal texts once. Raises DocumentRejected, ModelUnavailable."""
        if not chunks:
            return []
        if recipe.short not in self._embedding:
            self._embedding[recipe.short] = EmbeddingDispatcher(recipe, load_encoder(recipe, self._options))
        embedded = self._embedding[recipe.short].dispatch(chunks)
        for each in embedded:
            self._cache.put(recipe.short, each.chunk.content, each.vector)
        return embedded

    def recall(self, recipe: VectorRecipe, chunks: Sequence[ChunkModel]) -> list[EmbeddedChunkModel] | None:
        """Return chunks of one text with the vector that it was given before; None where it was not."""
        vector = self._cache.get(recipe.short, chunks[0].content)
        if vector is None:
            return None
        return [EMBEDDED_MODELS[chunk.data_type](chunk=chunk, vector=vector) for chunk in chunks]
