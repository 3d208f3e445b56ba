"""What reading a source yields, item by item, and the report of what became of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from twin_assets.models.kinds import DataType

SAMPLES = 5
REFUSED_LINES = 1000


@dataclass(frozen=True)
class Taken:
    """One document to store, with its `_id`; `where` names its origin for people."""

    document: dict[str, Any]
    where: str


@dataclass(frozen=True)
class Skipped:
    """One thing left out by a rule; equal reasons are counted together."""

    reason: str
    where: str


@dataclass(frozen=True)
class Refused:
    """One thing that is wrong and that its author can mend.

    `id` is the document that it would have been, where that is known: pruning keeps it.
    """

    where: str
    reason: str
    id: str | None = None


@dataclass(frozen=True)
class Gone:
    """A source that is no longer there."""

    where: str


@dataclass(frozen=True)
class Noted:
    """Something that people should know, such as a repository that had to be split."""

    text: str


@dataclass(frozen=True)
class Guessed:
    """A file that is not UTF-8 and was read as Windows-1252."""

    where: str


Item = Taken | Skipped | Refused | Gone | Noted | Guessed


@dataclass
class Tally:
    """A count and the first few of what was counted."""

    count: int = 0
    samples: list[str] = field(default_factory=list)

    def add(self, sample: str) -> None:
        self.count += 1
        if len(self.samples) < SAMPLES:
            self.samples.append(sample)

    def merge(self, other: Tally) -> None:
        self.count += other.count
        self.samples = (self.samples + other.samples)[:SAMPLES]


@dataclass
class IngestReport:
    """What an ingest did. `taken` = inserted + updated + unchanged.

    `refused` holds one line per wrong piece of input, at most REFUSED_LINES of `refused_count`; `skipped`
    counts by reason; `guessed_encoding` counts what was not UTF-8 and was read as Windows-1252.
    """

    data_type: DataType
    inserted: int = 0
    updated: int = 0
    unchanged: int = 0
    pruned: int = 0
    skipped: dict[str, Tally] = field(default_factory=dict)
    refused: list[str] = field(default_factory=list)
    refused_count: int = 0
    guessed_encoding: Tally = field(default_factory=Tally)
    notes: list[str] = field(default_factory=list)

    @property
    def taken(self) -> int:
        return self.inserted + self.updated + self.unchanged

    def skip(self, reason: str, where: str) -> None:
        self.skipped.setdefault(reason, Tally()).add(where)

    def refuse(self, where: str, reason: str) -> None:
        self.refused_count += 1
        if len(self.refused) < REFUSED_LINES:
            self.refused.append(f"{where}: {reason}")

    def merge(self, other: IngestReport) -> None:
        """Add another report's figures to this one."""
        self.inserted += other.inserted
        self.updated += other.updated
        self.unchanged += other.unchanged
        self.pruned += other.pruned
        self.refused_count += other.refused_count
        self.refused = (self.refused + other.refused)[:REFUSED_LINES]
        self.notes += other.notes
        self.guessed_encoding.merge(other.guessed_encoding)
        for reason, tally in other.skipped.items():
            self.skipped.setdefault(reason, Tally()).merge(tally)


@dataclass(frozen=True)
class IngestProgress:
    """How far an ingest is: items read, documents of them stored or found unchanged, and what is in hand."""

    read: int
    written: int
    where: str


ProgressCallback = Callable[[IngestProgress], None]
