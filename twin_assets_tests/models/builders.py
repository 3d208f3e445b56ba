"""One document of each type in every state."""

from __future__ import annotations

from typing import Any

from twin_assets.models.chunk import CHUNK_MODELS, ChunkModel
from twin_assets.models.kinds import DataType
from twin_assets.models.raw import RAW_MODELS, RawModel

FIELDS: dict[DataType, dict[str, Any]] = {
    DataType.POSTS: {"platform": "linkedin", "author_id": "author-1"},
    DataType.ARTICLES: {"platform": "medium", "author_id": "author-1", "link": "https://example.org/a"},
    DataType.REPOSITORIES: {"name": "tools", "owner_id": "owner-1", "link": "https://example.org/r"},
}


def raw(data_type: DataType, entry: str = "int:7", **fields: Any) -> RawModel:
    """A raw document."""
    content = {"content": {"a.py": "x = 1", "b.py": "y = 2"}}
    return RAW_MODELS[data_type].model_validate(FIELDS[data_type] | content | fields | {"entry": entry})


def chunk(data_type: DataType, entry: str = "int:7", **fields: Any) -> ChunkModel:
    """A chunk of a document."""
    place = {"chunk_index": 0, "chunk_count": 1, "start": 0, "end": 4, "recipe": "0123456789ab"}
    code = (
        {"path": "a.py", "language": "python", "start_line": 1} if data_type is DataType.REPOSITORIES else {}
    )
    values = FIELDS[data_type] | place | code | {"content": "text", "entry": entry} | fields
    return CHUNK_MODELS[data_type].model_validate(values)
