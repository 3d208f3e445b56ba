"""The two passes of an audit: one over the documents of MongoDB, one over the points of Qdrant.

Each names the documents that deserve a close look, a page at a time, and can stop and go on anywhere.
Between them nothing is left out: a document is seen by the first with all its points, a point without a
document by the second.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field

from twin_assets.models.base import document_key
from twin_assets.models.generation import Generation
from twin_assets.models.kinds import Snapshot
from twin_assets.operations.twin import Twin
from twin_assets.source.entries import is_reversible
from twin_assets.store.found import FoundPoint, PointId, PointPage
from twin_assets.store.inspection import Inspection

Progress = Callable[[int, int], None]
POINT_LABEL = "point:"


@dataclass
class Tally:
    """What the passes counted; no writer of ours can have written `foreign` and `nameless` points."""

    source: int = 0
    unsupported: list[str] = field(default_factory=list)
    heads: int = 0
    chunks: int = 0
    quarantined: int = 0
    foreign: list[str] = field(default_factory=list)
    nameless: list[str] = field(default_factory=list)


class Passes:
    """Both passes over one generation; they fill `tally` as they go."""

    def __init__(self, twin: Twin, generation: Generation, *, batch: int = 1000) -> None:
        self.tally = Tally()
        self._twin = twin
        self._generation = generation
        self._type = generation.type
        self._recipe = generation.recipe.short
        self._batch = batch
        self._inspection = Inspection(twin.store, generation.collection)
        self._reached = 0

    def documents(self, progress: Progress | None = None, *, after: str | None = None) -> Iterator[list[str]]:
        """Yield the entries of all documents behind `after`, in the order of their `_id`."""
        total = self._twin.source.count(self._type) if progress else 0
        for page in self._twin.source.pages(self._type, batch_size=self._batch, after=after):
            yield page.entries
            self.tally.unsupported += page.unsupported
            self.tally.source += len(page.entries) + len(page.unsupported)
            if progress:
                progress(self.tally.source, total)

    def points(self, *, since: PointId | None = None) -> Iterator[tuple[list[str], PointId | None]]:
        """Yield entries whose points seem to belong to nothing, and the id that the next page begins with."""
        for page in self._inspection.scan_points(since, page=self._batch):
            yield self._suspects(page), page.following

    def look_again(self, point_ids: Collection[str]) -> list[str]:
        """Return what of some points, those that are there still, belongs to nothing."""
        found = self._inspection.find_points(point_ids) if point_ids else []
        return self._suspects(PointPage(found, None))

    def _suspects(self, page: PointPage) -> list[str]:
        named = self._named(page)
        absent = set(self._twin.source.absent(self._type, list(named)))
        absent |= {entry for entry in named if entry not in absent and not is_reversible(entry)}
        self._name_impossible_heads(named, absent)
        survivors = self._survivors(page)
        return [
            entry
            for entry, points in named.items()
            if entry in survivors
            or any(map(self._is_odd, points))
            or (entry in absent and not all(point.is_tombstone for point in points))
        ]

    def _named(self, page: PointPage) -> dict[str, list[FoundPoint]]:
        """Return the points by the document that they name; note those that name none."""
        named: dict[str, list[FoundPoint]] = {}
        for point in page.points:
            entry = point.entry
            if point.is_head and not point.is_head_of(self._type):
                self.tally.foreign.append(point.point_id)
                continue
            self._count(point)
            if entry is None or point.revision is None:
                self.tally.nameless.append(point.point_id)
            if entry is not None:
                named.setdefault(entry, []).append(point)
        return named

    def _name_impossible_heads(self, named: Mapping[str, list[FoundPoint]], absent: Collection[str]) -> None:
        """Note the heads that nobody can read, where no document's repair would write them anew."""
        heads = {point.entry: point for entry in absent for point in named[entry] if point.is_head}
        keys = {document_key(self._type, entry): point for entry, point in heads.items() if entry}
        readable = self._inspection.find_heads(keys) if keys else {}
        self.tally.foreign += [point.point_id for key, point in keys.items() if key not in readable]

    def _is_odd(self, point: FoundPoint) -> bool:
        """Tell whether a point names another recipe, or a time that MongoDB has not reached."""
        if point.revision is None or point.payload.get("recipe") != self._recipe:
            return True
        if point.revision > self._reached:
            self._reached = self._twin.source.now()
        return point.revision > self._reached

    def _survivors(self, page: PointPage) -> set[str]:
        deleted = [point.entry for point in page.points if point.is_tombstone]
        if not deleted or self._generation.snapshot is not Snapshot.CLEANED:
            return set()
        return set(self._inspection.surviving_texts([entry for entry in deleted if entry]))

    def _count(self, point: FoundPoint) -> None:
        self.tally.chunks += not point.is_head
        if point.is_head and not point.is_tombstone:
            self.tally.quarantined += point.payload.get("quarantined") is True
            self.tally.heads += bool(point.payload.get("source_hash"))
