"""Documents with cleaned text, as the cleaned snapshot holds them; one model per data type."""

from __future__ import annotations

from functools import cached_property
from typing import Any, ClassVar

from twin_assets.models.base import TwinModel, text_hash
from twin_assets.models.kinds import DataType
from twin_assets.models.raw import ArticleFields, DocumentModel, PostFields, RepositoryFields


class FileSpan(TwinModel):
    """Which slice of a repository's cleaned text is which file: `cleaned_content[start:end]`."""

    path: str
    start: int
    end: int


class CleanedModel(DocumentModel):
    """A cleaned document; `source_hash` names the raw version it was made of."""

    cleaned_content: str
    source_hash: str

    @cached_property
    def content_hash(self) -> str:
        """sha256 of the cleaned text."""
        return text_hash(self.cleaned_content)

    def origin(self) -> dict[str, Any]:
        """Return the fields that every point of this document repeats: platform, link, author and so on."""
        own = {"entry", "cleaned_content", "source_hash", "files"}
        return self.model_dump(mode="json", exclude=own)


class PostCleanedModel(CleanedModel, PostFields):
    data_type: ClassVar[DataType] = DataType.POSTS


class ArticleCleanedModel(CleanedModel, ArticleFields):
    data_type: ClassVar[DataType] = DataType.ARTICLES


class RepositoryCleanedModel(CleanedModel, RepositoryFields):
    data_type: ClassVar[DataType] = DataType.REPOSITORIES
    files: tuple[FileSpan, ...]


CLEANED_MODELS: dict[DataType, type[CleanedModel]] = {
    model.data_type: model for model in (PostCleanedModel, ArticleCleanedModel, RepositoryCleanedModel)
}
