"""The four dispatchers: each sends a document to the handler of its type; its faults become rejections."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from twin_assets.models.base import document_key
from twin_assets.models.chunk import ChunkModel
from twin_assets.models.cleaned import CleanedModel
from twin_assets.models.embedded import EmbeddedChunkModel
from twin_assets.models.kinds import DataType
from twin_assets.models.raw import RawModel
from twin_assets.models.recipe import CleanedRecipe, VectorRecipe
from twin_assets.processing.chunking import ChunkingHandlerFactory
from twin_assets.processing.cleaning import CleaningHandlerFactory
from twin_assets.processing.embedding import EmbeddingHandlerFactory
from twin_assets.processing.encoder import SLICE, Encoder
from twin_assets.processing.raw import validate
from twin_assets.processing.rejection import DOCUMENT_FAULTS, rejecting
from twin_assets.processing.splitter import Splitter, TokenCounter


class RawDispatcher:
    """MongoDB documents to raw models."""

    @staticmethod
    def dispatch(data_type: DataType, entry: str, document: Mapping[str, Any]) -> RawModel:
        """Validate a document. Raises DocumentRejected (validating) naming the field and the entry."""
        with rejecting("validating", document_key(data_type, entry)):
            return validate(data_type, entry, document)


class CleaningDispatcher:
    """Raw documents to cleaned ones."""

    def __init__(self, recipe: CleanedRecipe) -> None:
        self._handlers = {kind: CleaningHandlerFactory.create_handler(kind, recipe) for kind in DataType}

    def dispatch(self, raw: RawModel) -> CleanedModel:
        """Clean a document. Raises DocumentRejected (cleaning), also where no text is left."""
        with rejecting("cleaning", raw.key):
            return self._handlers[raw.data_type].clean(raw)


class ChunkingDispatcher:
    """Cleaned documents to chunks; `max_chunks` is the most that one document may have."""

    def __init__(self, recipe: VectorRecipe, tokens: TokenCounter, max_chunks: int) -> None:
        splitter = Splitter(tokens, chunk_size=recipe.chunk_size, chunk_overlap=recipe.chunk_overlap)
        self._handlers = {
            kind: ChunkingHandlerFactory.create_handler(kind, recipe, splitter) for kind in DataType
        }
        self._max_chunks = max_chunks

    def dispatch(self, cleaned: CleanedModel) -> list[ChunkModel]:
        """Cut a document into its chunks, in order. Raises DocumentRejected (chunking)."""
        with rejecting("chunking", cleaned.key):
            return self._handlers[cleaned.data_type].chunk(cleaned, self._max_chunks)


class EmbeddingDispatcher:
    """Chunks to embedded chunks; equal texts are encoded once, in slices of at most SLICE."""

    def __init__(self, recipe: VectorRecipe, encoder: Encoder) -> None:
        self.recipe = recipe
        self._encoder = encoder
        self._handlers = {kind: EmbeddingHandlerFactory.create_handler(kind) for kind in DataType}

    def dispatch(self, chunks: Sequence[ChunkModel]) -> list[EmbeddedChunkModel]:
        """Embed chunks of any documents, in order. Raises DocumentRejected (embedding), first fault first."""
        vectors = self._vectors(chunks)
        embedded = []
        for chunk in chunks:
            with rejecting("embedding", chunk.key):
                embedded.append(self._handlers[chunk.data_type].embed(chunk, vectors[chunk.content]))
        return embedded

    def _vectors(self, chunks: Sequence[ChunkModel]) -> dict[str, list[float]]:
        # Neighbours of like length waste the least padding.
        texts = sorted({chunk.content: chunk for chunk in chunks}.items(), key=lambda item: len(item[0]))
        vectors: dict[str, list[float]] = {}
        for start in range(0, len(texts), SLICE):
            part = dict(texts[start : start + SLICE])
            vectors |= zip(part, self._encoded(part), strict=True)
        return vectors

    def _encoded(self, part: Mapping[str, ChunkModel]) -> list[list[float]]:
        try:
            return self._rows(list(part))
        except DOCUMENT_FAULTS:
            return [self._encoded_alone(text, chunk) for text, chunk in part.items()]

    def _encoded_alone(self, text: str, chunk: ChunkModel) -> list[float]:
        with rejecting("embedding", chunk.key):
            return self._rows([text])[0]

    def _rows(self, texts: list[str]) -> list[list[float]]:
        rows: list[list[float]] = self._encoder.encode(texts).tolist()
        return rows
