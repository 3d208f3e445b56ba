"""Chunking handlers: cleaned documents become chunks, one handler per data type."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterator
from itertools import islice
from typing import Any, ClassVar, NamedTuple

from twin_assets.models.chunk import ArticleChunkModel, ChunkModel, PostChunkModel, RepositoryChunkModel
from twin_assets.models.cleaned import CleanedModel, RepositoryCleanedModel
from twin_assets.models.kinds import DataType
from twin_assets.models.recipe import VectorRecipe
from twin_assets.processing.factory import complete_table
from twin_assets.processing.languages import language_of
from twin_assets.processing.rejection import Unprocessable
from twin_assets.processing.splitter import Splitter


class Piece(NamedTuple):
    """A slice of the cleaned text and the fields that only its type of chunk has."""

    start: int
    end: int
    fields: dict[str, Any]


class ChunkingHandler(ABC):
    """Cuts the documents of one data type."""

    model: ClassVar[type[ChunkModel]]

    def __init__(self, recipe: VectorRecipe, splitter: Splitter) -> None:
        self.recipe = recipe
        self.splitter = splitter

    def chunk(self, cleaned: CleanedModel, max_chunks: int) -> list[ChunkModel]:
        """Return the chunks in order. Raises Unprocessable above `max_chunks`."""
        too_many = Unprocessable(
            f"content: more than {max_chunks} chunks; split the document or raise TWIN_MAX_CHUNKS"
        )
        if self._surely_exceeds(cleaned.cleaned_content, max_chunks):
            raise too_many
        pieces = list(islice(self.pieces(cleaned), max_chunks + 1))
        if len(pieces) > max_chunks:
            raise too_many
        return self._number(cleaned, pieces)

    @abstractmethod
    def pieces(self, cleaned: CleanedModel) -> Iterator[Piece]:
        """Yield the slices of the cleaned text in order."""

    def _surely_exceeds(self, text: str, max_chunks: int) -> bool:
        """Say so before the work of cutting: chunks cover all that is not white space."""
        limit = max_chunks * self.recipe.chunk_size
        return len(text) > limit and sum(map(len, text.split())) > limit

    def _number(self, cleaned: CleanedModel, pieces: list[Piece]) -> list[ChunkModel]:
        origin = cleaned.origin() | {"entry": cleaned.entry, "recipe": self.recipe.short}
        seen: Counter[str] = Counter()
        chunks = []
        for index, (start, end, fields) in enumerate(pieces):
            content = cleaned.cleaned_content[start:end]
            place = {"start": start, "end": end, "chunk_index": index, "chunk_count": len(pieces)}
            text = {"content": content, "occurrence": seen[content]}
            chunks.append(self.model.model_validate(origin | fields | place | text))
            seen[content] += 1
        return chunks


class ProseChunkingHandler(ChunkingHandler):
    """Cuts at paragraphs, lines and words."""

    def pieces(self, cleaned: CleanedModel) -> Iterator[Piece]:
        for start, end in self.splitter.split(cleaned.cleaned_content):
            yield Piece(start, end, {})


class PostChunkingHandler(ProseChunkingHandler):
    model = PostChunkModel


class ArticleChunkingHandler(ProseChunkingHandler):
    model = ArticleChunkModel


class RepositoryChunkingHandler(ChunkingHandler):
    """Cuts one file at a time, at what its language calls a block."""

    model = RepositoryChunkModel

    def pieces(self, cleaned: CleanedModel) -> Iterator[Piece]:
        if not isinstance(cleaned, RepositoryCleanedModel):
            raise TypeError(f"{type(cleaned).__name__} has no files")
        for file in cleaned.files:
            text = cleaned.cleaned_content[file.start : file.end]
            newlines = [newline.start() for newline in re.finditer("\n", text)]
            language = language_of(file.path)
            for start, end in self.splitter.split(text, language=language, is_code=True):
                line = bisect_right(newlines, start - 1) + 1
                fields = {"path": file.path, "language": language, "start_line": line}
                yield Piece(file.start + start, file.start + end, fields)


class ChunkingHandlerFactory:
    """One chunking handler per data type."""

    _handlers = complete_table(
        {
            DataType.POSTS: PostChunkingHandler,
            DataType.ARTICLES: ArticleChunkingHandler,
            DataType.REPOSITORIES: RepositoryChunkingHandler,
        }
    )

    @classmethod
    def create_handler(cls, data_type: DataType, recipe: VectorRecipe, splitter: Splitter) -> ChunkingHandler:
        """Return the handler of a data type."""
        return cls._handlers[data_type](recipe, splitter)
