"""The passes of an audit over everything: each names the documents that deserve a closer look.

Constant memory, but for the number of chunks per document.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from twin_assets.models.base import Snapshot, document_key
from twin_assets.models.generation import Generation
from twin_assets.models.head import Head
from twin_assets.models.recipe import VectorRecipe
from twin_assets.operations.differences import Seen, is_sound_chunk, is_sound_text, judge
from twin_assets.operations.look import DOCUMENTS_AT_ONCE, Version, pages, versions_of
from twin_assets.operations.twin import Twin
from twin_assets.source.entries import is_reversible
from twin_assets.store.inspection import FoundHead, Inspection

Progress = Callable[[int, int], None]
POINT_LABEL = "point:"


@dataclass
class Tally:
    """What the passes counted; `foreign` are points that no writer of ours can have written."""

    source: int = 0
    heads: int = 0
    chunks: int = 0
    quarantined: int = 0
    foreign_heads: list[str] = field(default_factory=list)
    nameless: list[str] = field(default_factory=list)


class Passes:
    """All passes over one generation; `suspects` runs them and fills `tally`."""

    def __init__(
        self, twin: Twin, generation: Generation, *, batch: int, with_vectors: bool, progress: Progress
    ) -> None:
        self.tally = Tally()
        self._twin = twin
        self._generation = generation
        self._type = generation.type
        self._batch = batch
        self._with_vectors = with_vectors
        self._progress = progress
        self._inspection = Inspection(twin.store, generation.collection)

    def suspects(self) -> Iterator[list[str]]:
        """Yield entries that seem to differ, some of them more than once."""
        chunks: dict[str, int] = {}
        if self._generation.snapshot is Snapshot.VECTOR:
            chunks = self._twin.store.chunks_by(self._generation.collection, "entry")
        self.tally.chunks = self._twin.store.count_chunks(self._generation.collection)
        yield from self._from_source(chunks)
        yield from self._from_heads(chunks)
        yield from pages(list(chunks), self._batch)
        yield from self._from_points()
        self.tally.nameless = list(self._inspection.nameless_points())

    def _from_source(self, chunks: Mapping[str, int]) -> Iterator[list[str]]:
        total = self._twin.source.count(self._type)
        for entries in self._twin.source.entries(self._type, batch_size=self._batch):
            heads = self._inspection.find_heads([document_key(self._type, entry) for entry in entries])
            for page in pages(entries, DOCUMENTS_AT_ONCE):
                versions = versions_of(self._twin, self._type, page)
                yield [
                    entry
                    for entry in page
                    if self._differs(
                        entry, versions[entry], heads.get(document_key(self._type, entry)), chunks
                    )
                ]
            self.tally.source += len(entries)
            self._progress(self.tally.source, total)

    def _from_heads(self, chunks: dict[str, int]) -> Iterator[list[str]]:
        """Look at heads without a document; what stays in `chunks` afterwards has no head."""
        for page in _grouped(self._inspection.scan_heads(), self._batch):
            heads = self._readable(page)
            absent = set(self._twin.source.absent(self._type, [head.entry for head in heads]))
            gone = [head for head in heads if head.entry in absent or not is_reversible(head.entry)]
            yield [head.entry for head in gone if self._differs(head.entry, Version(), head, chunks)]
            for head in heads:
                chunks.pop(head.entry, None)

    def _readable(self, page: Sequence[FoundHead]) -> list[Head]:
        self.tally.foreign_heads += [found.point_id for found in page if found.head is None]
        heads = [found.head for found in page if found.head is not None]
        self.tally.quarantined += sum(head.quarantined and not head.deleted for head in heads)
        self.tally.heads += sum(_has_good_version(head) for head in heads)
        return heads

    def _from_points(self) -> Iterator[list[str]]:
        recipe = self._generation.recipe
        yield from _distinct(self._inspection.entries_of_other_recipes(recipe.short), self._batch)
        if not isinstance(recipe, VectorRecipe):
            yield from _distinct(self._inspection.surviving_texts(), self._batch)
        if self._with_vectors:
            yield from _distinct(self._unsound(), self._batch)

    def _unsound(self) -> Iterator[str]:
        recipe = self._generation.recipe
        if isinstance(recipe, VectorRecipe):
            for chunk in self._inspection.scan_chunks(with_vectors=True):
                if not is_sound_chunk(chunk, self._type, recipe):
                    yield chunk.entry
            return
        for found in self._inspection.scan_texts():
            if not is_sound_text(found):
                yield found.entry

    def _differs(self, entry: str, version: Version, head: Head | None, chunks: Mapping[str, int]) -> bool:
        seen = Seen(entry, version.name, version.is_rejected, head, chunks.get(entry, 0))
        return bool(judge(seen, self._generation).kinds)


def _has_good_version(head: Head) -> bool:
    return not head.deleted and bool(head.source_hash)


def _grouped(heads: Iterator[FoundHead], size: int) -> Iterator[list[FoundHead]]:
    page: list[FoundHead] = []
    for found in heads:
        page.append(found)
        if len(page) == size:
            yield page
            page = []
    if page:
        yield page


def _distinct(entries: Iterator[str], size: int) -> Iterator[list[str]]:
    """Yield entries in pages; a document's points come in no order, so that one may come again later."""
    page: dict[str, None] = {}
    for entry in entries:
        page[entry] = None
        if len(page) == size:
            yield list(page)
            page = {}
    if page:
        yield list(page)
