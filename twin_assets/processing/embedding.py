"""Embedding handlers: chunks get their vectors, one handler per data type."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from twin_assets.models.chunk import ChunkModel
from twin_assets.models.embedded import (
    ArticleEmbeddedChunkModel,
    EmbeddedChunkModel,
    PostEmbeddedChunkModel,
    RepositoryEmbeddedChunkModel,
)
from twin_assets.models.kinds import DataType
from twin_assets.processing.factory import complete_table


class EmbeddingHandler:
    """Joins chunks of one data type with their vectors."""

    model: ClassVar[type[EmbeddedChunkModel]]

    def embed(self, chunk: ChunkModel, vector: Sequence[float]) -> EmbeddedChunkModel:
        """Return the embedded chunk. Raises pydantic's ValidationError where the vector is no unit vector."""
        return self.model(chunk=chunk, vector=tuple(vector))


class PostEmbeddingHandler(EmbeddingHandler):
    model = PostEmbeddedChunkModel


class ArticleEmbeddingHandler(EmbeddingHandler):
    model = ArticleEmbeddedChunkModel


class RepositoryEmbeddingHandler(EmbeddingHandler):
    model = RepositoryEmbeddedChunkModel


class EmbeddingHandlerFactory:
    """One embedding handler per data type."""

    _handlers = complete_table(
        {
            DataType.POSTS: PostEmbeddingHandler,
            DataType.ARTICLES: ArticleEmbeddingHandler,
            DataType.REPOSITORIES: RepositoryEmbeddingHandler,
        }
    )

    @classmethod
    def create_handler(cls, data_type: DataType) -> EmbeddingHandler:
        """Return the handler of a data type."""
        return cls._handlers[data_type]()
