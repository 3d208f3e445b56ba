"""Slices of cleaned text, small enough for the model that embeds them; one model per data type."""

from __future__ import annotations

from functools import cached_property
from typing import Any, ClassVar
from uuid import UUID, uuid5

from twin_assets.models.base import text_hash
from twin_assets.models.kinds import DataType
from twin_assets.models.raw import ArticleFields, DocumentModel, PostFields, RepositoryFields

POINT_NAMESPACE = UUID("6b0d4b5c-2f0e-5d3a-9a39-3b8f5d0f6a11")


class ChunkModel(DocumentModel):
    """An exact slice `cleaned_content[start:end]` of a document.

    `occurrence` counts equal texts inside the document, `recipe` is the short hash of the recipe that cut it.
    """

    content: str
    chunk_index: int
    chunk_count: int
    start: int
    end: int
    recipe: str
    occurrence: int = 0

    @cached_property
    def point_id(self) -> str:
        """Content-addressed inside its document: an edit elsewhere leaves this id alone."""
        return chunk_point_id(self.key, self.recipe, text_hash(self.content), self.occurrence)

    def payload(self) -> dict[str, Any]:
        """Return what Qdrant stores beside the vector, before revision and hashes."""
        fields = self.model_dump(mode="json", exclude={"occurrence"})
        return fields | {"id": self.id, "type": self.data_type.value}


class PostChunkModel(ChunkModel, PostFields):
    data_type: ClassVar[DataType] = DataType.POSTS


class ArticleChunkModel(ChunkModel, ArticleFields):
    data_type: ClassVar[DataType] = DataType.ARTICLES


class RepositoryChunkModel(ChunkModel, RepositoryFields):
    """A slice of one file; `start_line` counts from 1 in that file."""

    data_type: ClassVar[DataType] = DataType.REPOSITORIES
    path: str
    language: str | None = None
    start_line: int


CHUNK_MODELS: dict[DataType, type[ChunkModel]] = {
    model.data_type: model for model in (PostChunkModel, ArticleChunkModel, RepositoryChunkModel)
}


def chunk_point_id(key: str, recipe: str, content_hash: str, occurrence: int) -> str:
    """Return the id of the chunk of `type/entry` that a recipe cut with this text."""
    name = f"{key}/{recipe}/{content_hash}/{occurrence}"
    return str(uuid5(POINT_NAMESPACE, name.encode("utf-8", "surrogatepass").decode("latin-1")))


def head_point_id(key: str) -> str:
    """Return the id of the head of the document `type/entry`, the same in every generation."""
    return str(uuid5(POINT_NAMESPACE, key.encode("utf-8", "surrogatepass").decode("latin-1")))
