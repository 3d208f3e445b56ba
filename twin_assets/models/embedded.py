"""Chunks with their vectors, as the vector snapshot holds them; one model per data type."""

from __future__ import annotations

import hashlib
import struct
from functools import cached_property
from typing import ClassVar

from pydantic import field_validator

from twin_assets.models.base import TwinModel
from twin_assets.models.chunk import ArticleChunkModel, ChunkModel, PostChunkModel, RepositoryChunkModel
from twin_assets.models.kinds import DataType


class EmbeddedChunkModel(TwinModel):
    """A chunk and its unit vector (float32, as many numbers as the model has dimensions)."""

    data_type: ClassVar[DataType]
    chunk: ChunkModel
    vector: tuple[float, ...]

    @field_validator("vector")
    @classmethod
    def _is_sound(cls, vector: tuple[float, ...]) -> tuple[float, ...]:
        norm = sum(number * number for number in vector)
        if not 0.99 < norm < 1.01:
            raise ValueError(f"the squared norm of a unit vector is 1, not {norm}")
        return vector

    @cached_property
    def vector_hash(self) -> str:
        """Hash of the vector as stored: finds vectors that were swapped or altered."""
        return vector_hash(self.vector)


class PostEmbeddedChunkModel(EmbeddedChunkModel):
    data_type: ClassVar[DataType] = DataType.POSTS
    chunk: PostChunkModel


class ArticleEmbeddedChunkModel(EmbeddedChunkModel):
    data_type: ClassVar[DataType] = DataType.ARTICLES
    chunk: ArticleChunkModel


class RepositoryEmbeddedChunkModel(EmbeddedChunkModel):
    data_type: ClassVar[DataType] = DataType.REPOSITORIES
    chunk: RepositoryChunkModel


EMBEDDED_MODELS: dict[DataType, type[EmbeddedChunkModel]] = {
    model.data_type: model
    for model in (PostEmbeddedChunkModel, ArticleEmbeddedChunkModel, RepositoryEmbeddedChunkModel)
}


def vector_hash(vector: tuple[float, ...] | list[float]) -> str:
    """Return 16 hex digits over the float32 bytes of a vector."""
    return hashlib.sha256(struct.pack(f"<{len(vector)}f", *vector)).hexdigest()[:16]
