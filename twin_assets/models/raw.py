"""Documents as people wrote them, validated; one model per data type."""

from __future__ import annotations

import json
from functools import cached_property
from typing import Annotated, Any, ClassVar
from uuid import UUID

from pydantic import BeforeValidator, Field

from twin_assets.models.base import Entry, TwinModel, document_key, plain_id, stable_hash
from twin_assets.models.kinds import DataType


def _as_text(value: Any) -> Any:
    return str(value) if isinstance(value, int | UUID) and not isinstance(value, bool) else value


PersonId = Annotated[str, BeforeValidator(_as_text), Field(min_length=1)]
# Values may be text, numbers, dates or None, nested in lists and objects: cleaning decides what is text.
Content = Annotated[dict[str, Any], Field(min_length=1)]
# Course documents hold one text per path; None marks a file that could not be read.
Files = Annotated[dict[str, str | None], Field(min_length=1)]


class PostFields(TwinModel):
    """Where a post comes from: on every state of it, and in its points' payload."""

    platform: str
    author_id: PersonId
    link: str | None = None
    image: str | None = None


class ArticleFields(TwinModel):
    """Where an article comes from: on every state of it, and in its points' payload."""

    platform: str
    link: str
    author_id: PersonId
    image: str | None = None


class RepositoryFields(TwinModel):
    """Where a repository comes from: on every state of it, and in its points' payload."""

    name: str
    link: str
    owner_id: PersonId


class DocumentModel(TwinModel):
    """A document in some state: `entry` is its key, `data_type` its collection."""

    data_type: ClassVar[DataType]
    entry: Entry

    @property
    def key(self) -> str:
        """`type/entry`."""
        return document_key(self.data_type, self.entry)

    @property
    def id(self) -> str:
        """The id without its kind."""
        return plain_id(self.entry)


class RawModel(DocumentModel):
    """A validated MongoDB document."""

    @cached_property
    def source_hash(self) -> str:
        """sha256 over the modelled fields only: an unrelated field changes nothing.

        The order within `content`, at every depth, is part of it, since it is the order of the text.
        """
        fields = self.model_dump(mode="json", exclude={"entry"}, fallback=str)
        content = fields.pop("content")
        return stable_hash([fields, json.dumps(content)])


class PostRawModel(RawModel, PostFields):
    data_type: ClassVar[DataType] = DataType.POSTS
    content: Content


class ArticleRawModel(RawModel, ArticleFields):
    data_type: ClassVar[DataType] = DataType.ARTICLES
    content: Content


class RepositoryRawModel(RawModel, RepositoryFields):
    data_type: ClassVar[DataType] = DataType.REPOSITORIES
    content: Files


RAW_MODELS: dict[DataType, type[RawModel]] = {
    model.data_type: model for model in (PostRawModel, ArticleRawModel, RepositoryRawModel)
}
