"""One close look at some documents in MongoDB and in a generation, as they are now."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace

from twin_assets.models.base import document_key
from twin_assets.models.generation import Generation
from twin_assets.models.kinds import Snapshot
from twin_assets.operations.differences import Finding, Seen, judge
from twin_assets.operations.likeness import ChunkTally, is_edited_head
from twin_assets.operations.twin import Twin
from twin_assets.operations.version import Version, Versions
from twin_assets.store.found import FoundHead
from twin_assets.store.inspection import Inspection


class Look:
    """Looks at documents of one generation; reads vectors and texts only `with_vectors`."""

    def __init__(self, twin: Twin, generation: Generation, *, with_vectors: bool) -> None:
        self._twin = twin
        self._generation = generation
        self._with_vectors = with_vectors
        self._versions = Versions(twin, generation, with_texts=with_vectors)
        self._inspection = Inspection(twin.store, generation.collection)
        self._reached = 0

    def __call__(self, entries: Collection[str]) -> dict[str, Finding]:
        """Return what is wrong, by entry; documents with which all is well are left out."""
        return {
            found.entry: found
            for versions in self._versions.read(entries)
            for found in self._judge(versions)
            if found.kinds
        }

    def _judge(self, versions: Mapping[str, Version]) -> list[Finding]:
        heads = self._heads(versions)
        chunks = self._chunks(versions, heads)
        survivors = self._survivors(heads)
        future = self._future(heads, chunks)
        seen = (
            self._seen(entry, version, heads.get(entry), chunks[entry]) for entry, version in versions.items()
        )
        return [
            judge(
                replace(
                    each,
                    is_edited=each.is_edited or each.entry in future,
                    has_surviving_text=each.entry in survivors,
                ),
                self._generation,
            )
            for each in seen
        ]

    def _seen(self, entry: str, version: Version, found: FoundHead | None, chunks: ChunkTally) -> Seen:
        is_edited = found is not None and is_edited_head(
            found, version, self._generation, with_texts=self._with_vectors
        )
        return Seen(
            entry=entry,
            version=version.name,
            is_rejected=version.is_rejected,
            head=found.head if found else None,
            chunks=chunks.count,
            is_whole=chunks.is_whole,
            recipes=frozenset(chunks.recipes),
            is_edited=is_edited or chunks.is_edited,
            has_unsound=chunks.has_unsound,
        )

    def _heads(self, entries: Collection[str]) -> dict[str, FoundHead]:
        keys = [document_key(self._generation.type, entry) for entry in entries]
        found = self._inspection.find_heads(keys, with_texts=self._with_vectors)
        return {held.head.entry: held for held in found.values()}

    def _chunks(
        self, versions: Mapping[str, Version], heads: Mapping[str, FoundHead]
    ) -> dict[str, ChunkTally]:
        tallies = {
            entry: ChunkTally(self._generation, heads.get(entry), version, with_texts=self._with_vectors)
            for entry, version in versions.items()
        }
        if self._generation.snapshot is Snapshot.VECTOR:
            for chunk in self._inspection.scan_chunks(list(versions), with_vectors=self._with_vectors):
                if chunk.entry in tallies:
                    tallies[chunk.entry].add(chunk)
        return tallies

    def _survivors(self, heads: Mapping[str, FoundHead]) -> set[str]:
        deleted = [entry for entry, found in heads.items() if found.head.deleted]
        if not deleted or self._generation.snapshot is not Snapshot.CLEANED:
            return set()
        return set(self._inspection.surviving_texts(deleted))

    def _future(self, heads: Mapping[str, FoundHead], chunks: Mapping[str, ChunkTally]) -> set[str]:
        """Return the documents whose points carry a time that MongoDB has not reached."""
        newest = {entry: chunks[entry].newest for entry in chunks}
        for entry, found in heads.items():
            newest[entry] = max(newest[entry], found.head.revision)
        highest = max(newest.values(), default=0)
        if highest <= self._reached:
            return set()
        self._reached = self._twin.source.now()
        return {entry for entry, revision in newest.items() if revision > self._reached}
