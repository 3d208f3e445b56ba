"""Generations: the physical collections behind the names that readers use."""

from __future__ import annotations

import re
from datetime import datetime
from enum import StrEnum
from typing import Annotated

from pydantic import Field

from twin_assets.models.base import TwinModel
from twin_assets.models.kinds import DataType, Snapshot
from twin_assets.models.recipe import Recipe

LOST = "its collection is gone from Qdrant"
_SNAPSHOTS, _TYPES = "|".join(Snapshot), "|".join(DataType)
_OURS = re.compile(rf"(?:{_SNAPSHOTS})_(?:{_TYPES})__g\d{{4,}}")


class GenerationStatus(StrEnum):
    """`retired` is fed no more: its model cannot be loaded, or its collection is gone (its note is LOST)."""

    BUILDING = "building"
    LIVE = "live"
    STANDBY = "standby"
    RETIRED = "retired"


class Generation(TwinModel):
    """One physical Qdrant collection and what the registry knows of it.

    `since` is the revision at which it was registered; None only between the two writes of a registration.
    `reuse_vectors` says whether a vector may come from another generation of the same recipe; `worked_at` is
    when a rebuild was last seen to fill it.
    """

    collection: str
    snapshot: Snapshot
    type: DataType
    number: int
    status: GenerationStatus
    recipe: Annotated[Recipe, Field(discriminator="snapshot")]
    created_at: datetime
    status_at: datetime | None = None
    since: int | None = None
    note: str = ""
    reuse_vectors: bool = True
    worked_at: datetime | None = None

    @property
    def alias(self) -> str:
        """The name that readers use, such as `vector_articles`."""
        return alias_of(self.snapshot, self.type)


def alias_of(snapshot: Snapshot, data_type: DataType) -> str:
    """Return the readers' name of a collection, such as `vector_articles`."""
    return f"{snapshot.value}_{data_type.value}"


def collection_name(snapshot: Snapshot, data_type: DataType, number: int) -> str:
    """Return a generation's physical name, such as `vector_articles__g0003`."""
    return f"{alias_of(snapshot, data_type)}__g{number:04d}"


def is_ours(collection: str) -> bool:
    """Say whether a collection of Qdrant has the name of a generation."""
    return _OURS.fullmatch(collection) is not None
