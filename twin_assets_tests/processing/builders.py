"""Documents, recipes and models for the tests of processing."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from twin_assets.models.chunk import ChunkModel
from twin_assets.models.cleaned import CleanedModel
from twin_assets.models.kinds import DataType
from twin_assets.models.recipe import CleanedRecipe, VectorRecipe
from twin_assets.processing.dispatch import ChunkingDispatcher, CleaningDispatcher, RawDispatcher
from twin_assets.processing.hash_encoder import HASH_MAX_TOKENS, HashEncoder

PROSE = [DataType.POSTS, DataType.ARTICLES]
ORIGINS: dict[DataType, dict[str, Any]] = {
    DataType.POSTS: {"platform": "linkedin", "author_id": "author-1"},
    DataType.ARTICLES: {"platform": "medium", "author_id": "author-1", "link": "https://example.org/a"},
    DataType.REPOSITORIES: {"name": "tools", "owner_id": "owner-1", "link": "https://example.org/r"},
}

T5_WIDTH, T5_DIMENSION, T5_MAX_TOKENS = 32, 24, 128
POOLING = {
    "word_embedding_dimension": T5_WIDTH,
    "pooling_mode_cls_token": False,
    "pooling_mode_mean_tokens": True,
    "pooling_mode_max_tokens": False,
    "pooling_mode_mean_sqrt_len_tokens": False,
}


def write_json(path: Path, value: Any) -> None:
    """Write a file of a model folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value), encoding="utf-8")


def document(data_type: DataType, content: Any = None, **fields: Any) -> dict[str, Any]:
    """A document of the course's shape."""
    return ORIGINS[data_type] | {"content": {"main.py": "x = 1"} if content is None else content} | fields


def vector_recipe(**fields: Any) -> VectorRecipe:
    """A recipe of the hash encoder."""
    sizes = {"chunk_size": 500, "chunk_overlap": 50, "max_tokens": HASH_MAX_TOKENS, "dimension": 16}
    return VectorRecipe(**{"cleaned": CleanedRecipe(), "model": "hash-16", **sizes, **fields})


def cleaned(data_type: DataType, content: Any, **fields: Any) -> CleanedModel:
    """A document after validation and cleaning."""
    raw = RawDispatcher.dispatch(data_type, "int:7", document(data_type, content, **fields))
    return CleaningDispatcher(CleanedRecipe()).dispatch(raw)


def chunks_of(
    data_type: DataType, content: Any, *, max_chunks: int = 1000, **recipe: Any
) -> list[ChunkModel]:
    """The chunks of a document, cut for the hash encoder."""
    dispatcher = ChunkingDispatcher(vector_recipe(**recipe), HashEncoder(16), max_chunks)
    return dispatcher.dispatch(cleaned(data_type, content))


class RecordingEncoder(HashEncoder):
    """Remembers what it was asked to encode; refuses texts, or answers NaN, on request."""

    def __init__(self, *, refuses: str | None = None, spoils: str | None = None) -> None:
        super().__init__(16)
        self.slices: list[list[str]] = []
        self.refuses = refuses
        self.spoils = spoils

    def encode(self, texts: Sequence[str]) -> np.ndarray:
        self.slices.append(list(texts))
        if self.refuses in texts:
            raise ValueError(f"cannot encode {self.refuses}")
        rows = super().encode(texts)
        for row, text in zip(rows, texts, strict=True):
            if text == self.spoils:
                row[:] = np.nan
        return rows
