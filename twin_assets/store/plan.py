"""What has to be done so that a generation holds a document as it was read. Pure: no server, no clock."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from twin_assets.models.base import document_key
from twin_assets.models.chunk import ChunkModel, head_point_id
from twin_assets.models.cleaned import CleanedModel
from twin_assets.models.head import Head
from twin_assets.models.kinds import DataType
from twin_assets.store.points import StoredChunk, place_of


@dataclass(frozen=True)
class Wanted:
    """A document as it was read, in the form that one generation holds.

    Exactly one of: `cleaned` (with its chunks, in a vector generation), `quarantine_hash` (the version
    that was refused), or neither, which is a deleted document.
    """

    type: DataType
    entry: str
    cleaned: CleanedModel | None = None
    chunks: tuple[ChunkModel, ...] = ()
    quarantine_hash: str = ""
    force: bool = False

    @property
    def key(self) -> str:
        """`type/entry`."""
        return document_key(self.type, self.entry)

    @property
    def head_id(self) -> str:
        """The id of its head."""
        return head_point_id(self.key)

    @property
    def source_hash(self) -> str:
        """The version of the source that it was made of."""
        return self.cleaned.source_hash if self.cleaned else ""

    @property
    def content_hash(self) -> str:
        """The hash of its cleaned text."""
        return self.cleaned.content_hash if self.cleaned else ""


class Action(StrEnum):
    """What a generation does with one document."""

    SKIP = "skip"
    TOUCH = "touch"
    WRITE = "write"
    DELETE = "delete"
    QUARANTINE = "quarantine"


@dataclass
class DocumentPlan:
    """One document's way into one generation; `kept` holds chunks that need no new vector."""

    wanted: Wanted
    action: Action
    head: Head | None
    new: list[ChunkModel] = field(default_factory=list)
    kept: list[tuple[ChunkModel, StoredChunk]] = field(default_factory=list)


def plan_document(
    wanted: Wanted, head: Head | None, stored: Sequence[StoredChunk], *, revision: int, recipe: str
) -> DocumentPlan:
    """Compare what was read at `revision` with what the generation holds."""
    if head is not None and head.revision > revision:
        return DocumentPlan(wanted, Action.SKIP, head)
    if head is not None and not wanted.force and is_applied(wanted, head, stored, recipe=recipe):
        return DocumentPlan(wanted, Action.TOUCH, head)
    return plan_anew(wanted, head, stored)


def plan_anew(wanted: Wanted, head: Head | None, stored: Sequence[StoredChunk]) -> DocumentPlan:
    """Plan a document in full, even if the generation seems to hold it already."""
    if wanted.cleaned is None:
        return DocumentPlan(wanted, Action.QUARANTINE if wanted.quarantine_hash else Action.DELETE, head)
    held = {} if wanted.force else {chunk.point_id: chunk for chunk in stored}
    plan = DocumentPlan(wanted, Action.WRITE, head)
    for chunk in wanted.chunks:
        if chunk.point_id in held:
            plan.kept.append((chunk, held[chunk.point_id]))
        else:
            plan.new.append(chunk)
    return plan


def is_applied(wanted: Wanted, head: Head, stored: Sequence[StoredChunk], *, recipe: str) -> bool:
    """Tell whether the generation already says all of it, down to the place of every chunk.

    Every writer marks the chunks it places with its source version, so a chunk that another version
    moved or added shows here even when the head is right.
    """
    if wanted.quarantine_hash:
        return head.quarantined and head.quarantine_hash == wanted.quarantine_hash
    if not head.settled or head.quarantined:
        return False
    if wanted.cleaned is None:
        return head.deleted and not stored
    return (
        not head.deleted
        and head.source_hash == wanted.source_hash
        and head.recipe == recipe
        and head.chunk_count == len(wanted.chunks) == len(stored)
        and all(chunk.source_hash == wanted.source_hash for chunk in stored)
    )


def has_moved(chunk: ChunkModel, stored: StoredChunk) -> bool:
    """Tell whether a kept chunk stands somewhere else in the new version."""
    return place_of(chunk.model_dump(mode="json")) != stored.place
