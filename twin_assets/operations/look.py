"""One close look at some documents in MongoDB and in a generation, as they are now."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import TypeVar

from twin_assets.errors import DocumentRejected
from twin_assets.models.base import DataType, Snapshot, document_key, stable_hash
from twin_assets.models.generation import Generation
from twin_assets.models.recipe import VectorRecipe
from twin_assets.operations.differences import Finding, Seen, is_sound_chunk, is_sound_text, judge
from twin_assets.operations.twin import Twin
from twin_assets.processing.dispatch import RawDispatcher
from twin_assets.source.entries import is_reversible
from twin_assets.store.inspection import Inspection

# One document may have 16 MB.
DOCUMENTS_AT_ONCE = 25

T = TypeVar("T")


@dataclass(frozen=True)
class Version:
    """What MongoDB has of a document: `name` is its source hash, None where there is no document."""

    name: str | None = None
    is_rejected: bool = False


@dataclass
class _ChunksSeen:
    count: int = 0
    recipes: set[str] = field(default_factory=set)
    has_unsound: bool = False


class Look:
    """Looks at documents of one generation; reads vectors and texts only `with_vectors`."""

    def __init__(self, twin: Twin, generation: Generation, *, with_vectors: bool) -> None:
        self._twin = twin
        self._generation = generation
        self._type = generation.type
        self._with_vectors = with_vectors
        self._inspection = Inspection(twin.store, generation.collection)

    def __call__(self, entries: Collection[str]) -> dict[str, Finding]:
        """Return what is wrong, by entry; documents with which all is well are left out."""
        findings = (self._judge(page) for page in pages(entries, DOCUMENTS_AT_ONCE))
        return {found.entry: found for page in findings for found in page if found.kinds}

    def _judge(self, entries: Sequence[str]) -> list[Finding]:
        versions = versions_of(self._twin, self._type, entries)
        heads = self._inspection.find_heads([document_key(self._type, entry) for entry in entries])
        chunks = self._chunks(entries)
        survivors = self._survivors(entries)
        return [
            judge(
                Seen(
                    entry=entry,
                    version=versions[entry].name,
                    is_rejected=versions[entry].is_rejected,
                    head=heads.get(document_key(self._type, entry)),
                    chunks=chunks[entry].count,
                    recipes=frozenset(chunks[entry].recipes),
                    has_unsound=chunks[entry].has_unsound,
                    has_surviving_text=entry in survivors,
                ),
                self._generation,
            )
            for entry in entries
        ]

    def _chunks(self, entries: Sequence[str]) -> dict[str, _ChunksSeen]:
        seen = {entry: _ChunksSeen() for entry in entries}
        recipe = self._generation.recipe
        if not isinstance(recipe, VectorRecipe):
            for found in self._inspection.scan_texts(entries) if self._with_vectors else ():
                seen[found.entry].has_unsound |= not is_sound_text(found)
            return seen
        for chunk in self._inspection.scan_chunks(entries, with_vectors=self._with_vectors):
            mine = seen[chunk.entry]
            mine.count += 1
            mine.recipes.add(chunk.recipe)
            mine.has_unsound |= self._with_vectors and not is_sound_chunk(chunk, self._type, recipe)
        return seen

    def _survivors(self, entries: Sequence[str]) -> set[str]:
        if self._generation.snapshot is not Snapshot.CLEANED:
            return set()
        return set(self._inspection.surviving_texts(entries))


def versions_of(twin: Twin, data_type: DataType, entries: Sequence[str]) -> dict[str, Version]:
    """Read documents and name the version that MongoDB has of each."""
    wanted = [entry for entry in entries if is_reversible(entry)]
    documents = twin.source.read({data_type: wanted}).documents
    versions = {entry: Version() for entry in entries}
    for (_, entry), document in documents.items():
        if document is not None:
            try:
                raw = RawDispatcher.dispatch(data_type, entry, document)
                versions[entry] = Version(raw.source_hash)
            except DocumentRejected:
                versions[entry] = Version(stable_hash(repr(document)), is_rejected=True)
    return versions


def pages(values: Collection[T], size: int) -> Iterator[list[T]]:
    """Yield values in lists of at most `size`."""
    remaining = iter(values)
    while page := list(islice(remaining, size)):
        yield page
