"""Whether the points of a document say what a writer of ours would have written. Pure: no server."""

from __future__ import annotations

import math
import re
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from typing import Any

from twin_assets.models.base import document_key, plain_id, text_hash
from twin_assets.models.chunk import chunk_point_id
from twin_assets.models.cleaned import CleanedModel, RepositoryCleanedModel
from twin_assets.models.embedded import vector_hash
from twin_assets.models.generation import Generation
from twin_assets.models.kinds import DataType
from twin_assets.models.recipe import VectorRecipe
from twin_assets.operations.differences import is_current
from twin_assets.operations.version import Version
from twin_assets.processing.languages import language_of
from twin_assets.store.found import FoundChunk, FoundHead

NORM_TOLERANCE = 0.01
OCCURRENCES_AT_MOST = 20_000
INDEXES_AT_MOST = 1 << 20


def is_edited_head(found: FoundHead, version: Version, generation: Generation, *, with_texts: bool) -> bool:
    """Tell whether a head's fields or text were altered; a tombstone has none."""
    head, payload = found.head, found.payload
    if payload.get("id") != plain_id(head.entry):
        return True
    if head.deleted or not head.source_hash:
        return False
    is_cleaned = not isinstance(generation.recipe, VectorRecipe)
    if is_cleaned and head.quarantined and head.quarantine_hash == version.name and version.cleaned:
        return True  # marked as refused by hand: it can be cleaned
    current = is_current(head, version.name)
    if is_cleaned and current and _differs(payload, version.origin or {}):
        return True
    return with_texts and _is_edited_text(found, version if current else None, is_cleaned=is_cleaned)


def _is_edited_text(found: FoundHead, current: Version | None, *, is_cleaned: bool) -> bool:
    if current is not None and current.cleaned is not None:
        return _differs(found.payload, _texts_of(current.cleaned, is_cleaned=is_cleaned))
    text = found.payload.get("cleaned_content")
    return is_cleaned and (not isinstance(text, str) or text_hash(text) != found.head.content_hash)


def _texts_of(cleaned: CleanedModel, *, is_cleaned: bool) -> dict[str, Any]:
    expected: dict[str, Any] = {"content_hash": cleaned.content_hash}
    if is_cleaned:
        expected["cleaned_content"] = cleaned.cleaned_content
        if isinstance(cleaned, RepositoryCleanedModel):
            expected["files"] = [span.model_dump() for span in cleaned.files]
    return expected


def _differs(payload: Mapping[str, Any], expected: Mapping[str, Any]) -> bool:
    return any(payload.get(name) != value for name, value in expected.items())


class ChunkTally:
    """Takes in the chunks of one document one by one; keeps none of their texts and vectors."""

    def __init__(
        self, generation: Generation, found: FoundHead | None, version: Version, *, with_texts: bool
    ) -> None:
        self.count = 0
        self.newest = 0
        self.recipes: set[str] = set()
        self.is_edited = False
        self.has_unsound = False
        self._recipe = generation.recipe
        self._type = generation.type
        self._head = found.head if found and not found.head.deleted else None
        self._with_texts = with_texts
        self._is_current = is_current(self._head, version.name)
        has_chunks = isinstance(generation.recipe, VectorRecipe)
        self._cleaned = version.cleaned if self._is_current and has_chunks else None
        self._files = _Files(self._cleaned) if isinstance(self._cleaned, RepositoryCleanedModel) else None
        self._shared = self._expected(version)
        self._indexes = 0
        self._spans: list[tuple[int, int]] = []

    @property
    def is_whole(self) -> bool:
        """Whether the chunks are numbered 0 to n - 1, and leave out nothing but white space."""
        if self._head is None:
            return True
        is_counted = self.count == self._head.chunk_count < INDEXES_AT_MOST
        is_contiguous = is_counted and self._indexes == (1 << self.count) - 1
        if not is_contiguous or self._cleaned is None or self.is_edited:
            return is_contiguous
        return _covers(self._spans, self._cleaned.cleaned_content)

    def add(self, chunk: FoundChunk) -> None:
        """Take in one chunk."""
        self.count += 1
        self.newest = max(self.newest, chunk.revision)
        self.recipes.add(chunk.recipe)
        # Of a chunk without a living head, and of one that an older version left, the count says enough.
        if self._head is None or self._is_leftover(chunk):
            return
        index, start, end = (_whole(chunk.payload.get(name)) for name in ("chunk_index", "start", "end"))
        if 0 <= index < INDEXES_AT_MOST:
            self._indexes |= 1 << index
        if self._cleaned is not None:
            self._spans.append((start, end))
        if chunk.recipe == self._recipe.short:
            self.is_edited |= min(index, start, end) < 0 or _differs(chunk.payload, self._shared)
            if self._with_texts:
                self._add_text(chunk, start, end)

    def _add_text(self, chunk: FoundChunk, start: int, end: int) -> None:
        if isinstance(self._recipe, VectorRecipe):
            self.has_unsound |= not is_sound_vector(chunk, self._recipe)
        self.is_edited |= not is_own_text(chunk, self._type)
        if self._cleaned is not None:
            self.is_edited |= chunk.content != self._cleaned.cleaned_content[max(0, start) : max(0, end)]
        if self._files is not None:
            self.is_edited |= _differs(chunk.payload, self._files.fields(start))

    def _is_leftover(self, chunk: FoundChunk) -> bool:
        if self._head is None:
            return False
        is_older = chunk.revision < self._head.revision
        return is_older and chunk.payload.get("source_hash") != self._head.source_hash

    def _expected(self, version: Version) -> dict[str, Any]:
        if self._head is None:
            return {}
        expected: dict[str, Any] = {
            "id": plain_id(self._head.entry),
            "type": self._type.value,
            "revision": self._head.revision,
            "content_hash": self._head.content_hash,
            "chunk_count": self._head.chunk_count,
        }
        if self._is_current:
            expected |= {"source_hash": self._head.source_hash} | dict(version.origin or {})
        return expected


class _Files:
    """What the chunks of a repository say about their place in a file."""

    def __init__(self, cleaned: RepositoryCleanedModel) -> None:
        self._files = cleaned.files
        self._starts = [file.start for file in cleaned.files]
        self._newlines = [newline.start() for newline in re.finditer("\n", cleaned.cleaned_content)]

    def fields(self, start: int) -> dict[str, Any]:
        file = self._files[max(0, bisect_right(self._starts, start) - 1)]
        before = bisect_right(self._newlines, start - 1) - bisect_right(self._newlines, file.start - 1)
        return {"path": file.path, "language": language_of(file.path), "start_line": before + 1}


def is_sound_vector(chunk: FoundChunk, recipe: VectorRecipe) -> bool:
    """Tell whether a vector is finite, of norm 1, of its model's dimension, and the one that was stored."""
    vector = chunk.vector
    if vector is None or len(vector) != recipe.dimension or not all(map(math.isfinite, vector)):
        return False
    is_unit = abs(math.hypot(*vector) - 1) <= NORM_TOLERANCE
    return is_unit and vector_hash(vector) == chunk.payload.get("vector_hash")


def is_own_text(chunk: FoundChunk, data_type: DataType) -> bool:
    """Tell whether a chunk's text is the one that its id was made of."""
    key, text = document_key(data_type, chunk.entry), text_hash(chunk.content)
    count = chunk.payload.get("chunk_count")
    occurrences = range(min(max(1, count if isinstance(count, int) else 1), OCCURRENCES_AT_MOST))
    return any(chunk_point_id(key, chunk.recipe, text, nth) == chunk.point_id for nth in occurrences)


def _whole(value: Any) -> int:
    """Return a number that counts from 0; -1 for everything else."""
    return value if isinstance(value, int) else -1


def _covers(spans: Sequence[tuple[int, int]], text: str) -> bool:
    reached = 0
    for start, end in sorted(spans):
        if text[reached : max(reached, start)].strip():
            return False
        reached = max(reached, end)
    return not text[reached:].strip()
