"""Points as an inspection finds them: whatever they say of themselves, nothing of it is believed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from twin_assets.models.base import document_key
from twin_assets.models.chunk import head_point_id
from twin_assets.models.head import Head
from twin_assets.models.kinds import DataType

PointId = int | str


@dataclass(frozen=True, slots=True)
class FoundPoint:
    """A point of any kind, and what it says of itself."""

    point_id: str
    payload: Mapping[str, Any]

    @property
    def is_head(self) -> bool:
        """Whether it calls itself a head."""
        return self.payload.get("head") is True

    @property
    def is_tombstone(self) -> bool:
        """Whether it calls itself the head of a deleted document."""
        return self.is_head and self.payload.get("deleted") is True

    @property
    def entry(self) -> str | None:
        """The document that it says it belongs to."""
        entry = self.payload.get("entry")
        return entry if isinstance(entry, str) else None

    @property
    def revision(self) -> int | None:
        """Its revision; None where it has none that a fence could compare."""
        revision = self.payload.get("revision")
        return revision if isinstance(revision, int) else None

    def is_head_of(self, data_type: DataType) -> bool:
        """Whether it stands where the head of the document that it names has to stand."""
        if self.entry is None or self.revision is None or self.payload.get("type") != data_type.value:
            return False
        return head_point_id(document_key(data_type, self.entry)) == self.point_id


@dataclass(frozen=True)
class FoundHead:
    """A head, and the fields of its point."""

    head: Head
    payload: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class FoundChunk:
    """A chunk and the fields of its point; text and vector (None where there is none) only if asked for."""

    point_id: str
    payload: Mapping[str, Any]
    vector: tuple[float, ...] | None = None

    @property
    def entry(self) -> str:
        """The document that it says it belongs to."""
        return str(self.payload.get("entry", ""))

    @property
    def recipe(self) -> str:
        """The recipe that it says made it."""
        return str(self.payload.get("recipe", ""))

    @property
    def content(self) -> str:
        """Its text."""
        return str(self.payload.get("content", ""))

    @property
    def revision(self) -> int:
        """Its revision; below all others where it has none."""
        revision = self.payload.get("revision")
        return revision if isinstance(revision, int) else -1


@dataclass(frozen=True)
class PointPage:
    """Some points in the order of their ids, and the id that the next page begins with."""

    points: list[FoundPoint]
    following: PointId | None
