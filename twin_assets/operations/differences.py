"""What may be wrong with a document in a generation, and how one sees it. Pure: no server, no clock."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum

from twin_assets.models.base import DataType, document_key, text_hash
from twin_assets.models.chunk import chunk_point_id
from twin_assets.models.embedded import vector_hash
from twin_assets.models.generation import Generation
from twin_assets.models.head import Head
from twin_assets.models.recipe import VectorRecipe
from twin_assets.store.inspection import FoundChunk, FoundText

NORM_TOLERANCE = 0.01
OCCURRENCES_AT_MOST = 20_000


class Difference(StrEnum):
    """The ways in which a generation may disagree with MongoDB or with itself.

    `unsound_vector` covers everything that was altered after it was written: vectors, and in a cleaned
    collection texts. `unprocessable` is no fault of the twin: the document was refused, its last good
    version stays.
    """

    MISSING = "missing"
    ORPHAN = "orphan"
    STALE = "stale"
    INCOMPLETE = "incomplete"
    HEADLESS = "headless"
    WRONG_RECIPE = "wrong_recipe"
    UNSOUND_VECTOR = "unsound_vector"
    SURVIVING_TOMBSTONE = "surviving_tombstone"
    UNPROCESSABLE = "unprocessable"


@dataclass(frozen=True)
class Seen:
    """What all servers hold of one document. `version` names what MongoDB has, None where it has nothing."""

    entry: str
    version: str | None
    is_rejected: bool
    head: Head | None
    chunks: int
    recipes: frozenset[str] = frozenset()
    has_unsound: bool = False
    has_surviving_text: bool = False


@dataclass(frozen=True)
class Finding:
    """What is wrong with a document, and in which state of it that was seen."""

    entry: str
    kinds: frozenset[Difference]
    version: str | None
    head_revision: int | None

    def is_same_state(self, other: Finding) -> bool:
        """Tell whether neither the document nor its head has moved between two looks."""
        return (self.version, self.head_revision) == (other.version, other.head_revision)


def judge(seen: Seen, generation: Generation) -> Finding:
    """Name everything that is wrong with one document."""
    kinds = _against_source(seen) | _against_itself(seen)
    recipes = seen.recipes | ({seen.head.recipe} if seen.head else set())
    if recipes - {generation.recipe.short}:
        kinds.add(Difference.WRONG_RECIPE)
    if seen.has_unsound:
        kinds.add(Difference.UNSOUND_VECTOR)
    revision = seen.head.revision if seen.head else None
    return Finding(seen.entry, frozenset(kinds), seen.version, revision)


def _against_source(seen: Seen) -> set[Difference]:
    head = seen.head
    if seen.version is None:
        return {Difference.ORPHAN} if head and not head.deleted else set()
    if seen.is_rejected:
        return {Difference.UNPROCESSABLE}
    if head is None or head.deleted:
        return {Difference.MISSING}
    if head.quarantined and head.quarantine_hash == seen.version:
        return {Difference.UNPROCESSABLE}
    return {Difference.STALE} if head.quarantined or head.source_hash != seen.version else set()


def _against_itself(seen: Seen) -> set[Difference]:
    head = seen.head
    if head is None:
        return {Difference.HEADLESS} if seen.chunks else set()
    if head.deleted:
        survives = seen.chunks or seen.has_surviving_text
        return {Difference.SURVIVING_TOMBSTONE} if survives else set()
    is_finished = head.settled or head.quarantined
    return set() if is_finished and seen.chunks == head.chunk_count else {Difference.INCOMPLETE}


def is_sound_chunk(chunk: FoundChunk, data_type: DataType, recipe: VectorRecipe) -> bool:
    """Tell whether a chunk is what was written: its vector by hash, its text by the point's own id."""
    vector = chunk.vector
    if vector is None or len(vector) != recipe.dimension or not all(map(math.isfinite, vector)):
        return False
    if abs(math.hypot(*vector) - 1) > NORM_TOLERANCE or vector_hash(vector) != chunk.vector_hash:
        return False
    key, text = document_key(data_type, chunk.entry), text_hash(chunk.content)
    occurrences = range(min(max(1, chunk.chunk_count), OCCURRENCES_AT_MOST))
    return any(chunk_point_id(key, chunk.recipe, text, nth) == chunk.point_id for nth in occurrences)


def is_sound_text(found: FoundText) -> bool:
    """Tell whether the text of a cleaned document is the one that its head names."""
    return found.text is not None and text_hash(found.text) == found.content_hash
