"""What may be wrong with a document in a generation, and how one sees it. Pure: no server, no clock."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from twin_assets.models.generation import Generation
from twin_assets.models.head import Head


class Difference(StrEnum):
    """The ways in which a generation may disagree with MongoDB or with itself.

    `edited` is what was altered behind the writers' backs: text, a field, a hash, a revision;
    `unsound_vector` the same for vectors. `unprocessable` is no fault of the twin: the document was refused,
    its last good version stays.
    """

    MISSING = "missing"
    ORPHAN = "orphan"
    STALE = "stale"
    EDITED = "edited"
    INCOMPLETE = "incomplete"
    HEADLESS = "headless"
    WRONG_RECIPE = "wrong_recipe"
    UNSOUND_VECTOR = "unsound_vector"
    SURVIVING_TOMBSTONE = "surviving_tombstone"
    UNPROCESSABLE = "unprocessable"


ON_THEIR_WAY = "the watermark did not pass in time, so these may still be on their way; see is_caught_up"
ALLOWED = frozenset({Difference.UNPROCESSABLE})


@dataclass(frozen=True)
class Seen:
    """What all servers hold of one document. `version` names what MongoDB has, None where it has nothing.

    `is_whole` says whether the chunks are numbered without a gap and leave out no text; `is_edited` whether
    a field of the head or of a chunk is not what a writer of ours would have put there.
    """

    entry: str
    version: str | None
    is_rejected: bool
    head: Head | None
    chunks: int
    is_whole: bool = True
    recipes: frozenset[str] = frozenset()
    is_edited: bool = False
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
    if seen.is_edited:
        kinds.add(Difference.EDITED)
    if seen.has_unsound:
        kinds.add(Difference.UNSOUND_VECTOR)
    revision = seen.head.revision if seen.head else None
    return Finding(seen.entry, frozenset(kinds), seen.version, revision)


def is_current(head: Head | None, version: str | None) -> bool:
    """Tell whether a head stands for what MongoDB has, so that the two can be compared field by field."""
    return head is not None and not head.deleted and not head.quarantined and head.source_hash == version


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
    return set() if is_current(head, seen.version) else {Difference.STALE}


def _against_itself(seen: Seen) -> set[Difference]:
    head = seen.head
    if head is None:
        return {Difference.HEADLESS} if seen.chunks else set()
    if head.deleted:
        survives = seen.chunks or seen.has_surviving_text
        return {Difference.SURVIVING_TOMBSTONE} if survives else set()
    is_finished = head.settled or head.quarantined
    is_complete = is_finished and seen.is_whole and seen.chunks == head.chunk_count
    return set() if is_complete else {Difference.INCOMPLETE}
