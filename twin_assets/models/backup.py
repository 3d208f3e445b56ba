"""What a backup says of itself."""

from __future__ import annotations

from datetime import datetime

from pydantic import Field

from twin_assets.models.base import TwinModel
from twin_assets.models.generation import Generation

FORMAT = 1


class BackupBeginning(TwinModel):
    """What was there when a backup was begun. `revision` is MongoDB's time then: no part is older."""

    begun_at: datetime
    revision: int
    generations: list[Generation]


class BackupFile(TwinModel):
    """One file of a backup."""

    bytes: int = Field(ge=0)
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")


class BackupManifest(BackupBeginning):
    """A whole backup: `files` by their path inside it, `version` that of the program that made it."""

    format: int = Field(default=FORMAT, le=FORMAT)
    version: str
    files: dict[str, BackupFile]

    @property
    def size_bytes(self) -> int:
        """The size of all files together."""
        return sum(file.bytes for file in self.files.values())
