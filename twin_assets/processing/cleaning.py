"""Cleaning handlers: raw documents become cleaned ones, one handler per data type."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from datetime import date, time
from typing import Any, ClassVar

from twin_assets.models.cleaned import (
    ArticleCleanedModel,
    CleanedModel,
    FileSpan,
    PostCleanedModel,
    RepositoryCleanedModel,
)
from twin_assets.models.kinds import DataType
from twin_assets.models.raw import RawModel
from twin_assets.models.recipe import CleanedRecipe
from twin_assets.processing.factory import complete_table
from twin_assets.processing.rejection import Unprocessable
from twin_assets.processing.text import clean_code, clean_text

SEPARATOR = "\n\n"
# Qdrant takes no request above 32 MB, and what is around the text needs its share.
LARGEST_CLEANED_BYTES = 31 * 1024 * 1024


class CleaningHandler(ABC):
    """Cleans the documents of one data type."""

    model: ClassVar[type[CleanedModel]]

    def __init__(self, recipe: CleanedRecipe) -> None:
        self.recipe = recipe

    def clean(self, raw: RawModel) -> CleanedModel:
        """Return the cleaned document. Raises Unprocessable for no text at all, or too much."""
        origin = dict(raw)
        fields = self.text_fields(origin.pop("content"))
        if not fields["cleaned_content"].strip():
            raise Unprocessable("content: no text is left after cleaning")
        cleaned = self.model.model_validate(origin | fields | {"source_hash": raw.source_hash})
        size = len(cleaned.model_dump_json().encode())
        if size > LARGEST_CLEANED_BYTES:
            raise Unprocessable(
                f"content: {size} bytes as JSON after cleaning, more than the {LARGEST_CLEANED_BYTES} that "
                "Qdrant takes; split the document"
            )
        return cleaned

    @abstractmethod
    def text_fields(self, content: Mapping[str, Any]) -> dict[str, Any]:
        """Return `cleaned_content` and what belongs to it."""


class ProseCleaningHandler(CleaningHandler):
    """Joins the texts of `content` in order, a blank line between them."""

    def text_fields(self, content: Mapping[str, Any]) -> dict[str, Any]:
        text = SEPARATOR.join(texts_of(content))
        return {"cleaned_content": clean_text(text, ascii_only=self.recipe.ascii_only)}


class PostCleaningHandler(ProseCleaningHandler):
    model = PostCleanedModel


class ArticleCleaningHandler(ProseCleaningHandler):
    model = ArticleCleanedModel


class RepositoryCleaningHandler(CleaningHandler):
    """Joins the files in order; files that could not be read are left out."""

    model = RepositoryCleanedModel

    def text_fields(self, content: Mapping[str, Any]) -> dict[str, Any]:
        texts, spans, start = [], [], 0
        for path, text in content.items():
            if text is None:
                continue
            code = clean_code(text)
            texts.append(code)
            spans.append(FileSpan(path=path.replace("\0", ""), start=start, end=start + len(code)))
            start += len(code) + len(SEPARATOR)
        return {"cleaned_content": SEPARATOR.join(texts), "files": tuple(spans)}


class CleaningHandlerFactory:
    """One cleaning handler per data type."""

    _handlers = complete_table(
        {
            DataType.POSTS: PostCleaningHandler,
            DataType.ARTICLES: ArticleCleaningHandler,
            DataType.REPOSITORIES: RepositoryCleaningHandler,
        }
    )

    @classmethod
    def create_handler(cls, data_type: DataType, recipe: CleanedRecipe) -> CleaningHandler:
        """Return the handler of a data type."""
        return cls._handlers[data_type](recipe)


def texts_of(value: Any) -> Iterator[str]:
    """Yield the texts in a nested value, in order; numbers, dates and flags as text, None not at all."""
    if isinstance(value, Mapping):
        for item in value.values():
            yield from texts_of(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from texts_of(item)
    elif isinstance(value, date | time):
        yield value.isoformat()
    elif isinstance(value, bool):
        yield str(value).lower()
    elif value is not None:
        yield str(value)
