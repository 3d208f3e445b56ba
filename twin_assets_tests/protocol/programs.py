"""The package's own steps as programs: what a stream does with one message, and what a rebuild does."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from types import SimpleNamespace
from typing import Any

from qdrant_client import models as q

from twin_assets.errors import StoreUnavailable
from twin_assets.models.change import Change, DeadLetter
from twin_assets.models.chunk import ChunkModel
from twin_assets.models.cleaned import PostCleanedModel
from twin_assets.models.embedded import EmbeddedChunkModel
from twin_assets.models.kinds import DataType, Snapshot
from twin_assets.models.raw import RawModel
from twin_assets.operations.apply import Applier
from twin_assets.operations.context import StepContext
from twin_assets.operations.patience import Patience
from twin_assets.source.documents import SourceRead
from twin_assets.store.point_store import PointStore
from twin_assets.store.points import StoredVector
from twin_assets_tests.protocol.replay import Door, Request
from twin_assets_tests.protocol.world import ENTRY, TYPE, registered
from twin_assets_tests.store.builders import chunks_of, embed

CHANGE = Change(type=TYPE, entry=ENTRY, revision=0)


def stream(door: Door) -> None:
    """Take one message through all steps."""
    _stream(door, DoorSource(door))


def rebuild(door: Door) -> None:
    """Register a generation, then scan MongoDB into it."""
    _rebuild(door, DoorSource(door))


def stream_of_documentdb(door: Door) -> None:
    """Take one message through all steps, the document from DocumentDB."""
    _stream(door, MomentSource(door))


def rebuild_of_documentdb(door: Door) -> None:
    """Register a generation, then scan DocumentDB into it."""
    _rebuild(door, MomentSource(door))


def _stream(door: Door, source: DoorSource) -> None:
    applier = applier_of(door, source)
    applier.apply(applier.fetch([CHANGE]))


def _rebuild(door: Door, source: DoorSource) -> None:
    door.ask(Request("world", "register"))
    since = door.ask(Request("world", "set_since"))
    door.ask(Request("world", "create"))
    applier = applier_of(door, source)
    targets = {TYPE: [registered(Snapshot.VECTOR, 2, since)]}
    for read in source.scan(TYPE):
        applier.apply(applier.batch_of(read, targets=targets))


def applier_of(door: Door, source: DoorSource) -> Applier:
    """Return the real steps on servers behind a door."""
    meta = SimpleNamespace(generations=lambda *_: registry(door))
    twin: Any = SimpleNamespace(source=source, meta=meta, store=DoorStore(door))
    processors: Any = WordProcessors()
    return Applier(StepContext(twin, processors, Impatience(), NoLetters()))


def registry(door: Door) -> Any:
    """Return the generations that exist."""
    return door.ask(Request("world", "registry"))


class DoorSource:
    """Reads in two effects, as MongoDB does: the time first, then the documents."""

    def __init__(self, door: Door) -> None:
        self._door = door

    def now(self) -> int:
        revision: int = self._door.ask(Request("world", "time"))
        return revision

    def read(self, wanted: Mapping[DataType, Collection[str]], *, at_least: int = 0) -> SourceRead:
        revision = self.now()
        return SourceRead(revision, {(TYPE, ENTRY): self._door.ask(Request("world", "find"))})

    def scan(self, data_type: DataType) -> Iterator[SourceRead]:
        if self._door.ask(Request("world", "find")) is None:
            return
        read = self.read({data_type: [ENTRY]})
        if read.documents[TYPE, ENTRY] is not None:
            yield read


class MomentSource(DoorSource):
    """Asks for the time and waits for the next moment before it reads, as from DocumentDB."""

    def read(self, wanted: Mapping[DataType, Collection[str]], *, at_least: int = 0) -> SourceRead:
        asked = self.now()
        revision: int = self._door.ask(Request("world", "moment_after", arguments=(("asked", asked),)))
        return SourceRead(revision, {(TYPE, ENTRY): self._door.ask(Request("world", "find"))})


class DoorStore(PointStore):
    """One effect per request that Qdrant would see; the updates of a batch are effects of their own."""

    def __init__(self, door: Door) -> None:
        self.url = "memory://"
        self._door = door

    def heads(self, collection: str, head_ids: Collection[str]) -> Any:
        return self._ask("heads", collection, head_ids=tuple(head_ids)) if head_ids else {}

    def chunks(self, collection: str, entries: Collection[str]) -> Any:
        return self._ask("chunks", collection, entries=tuple(entries)) if entries else {}

    def revisions(self, collection: str, point_ids: Sequence[str]) -> Any:
        return self._ask("revisions", collection, point_ids=tuple(point_ids)) if point_ids else {}

    def vectors(self, collection: str, point_ids: Sequence[str]) -> dict[str, StoredVector]:
        """No effect: a vector that is taken is written as one that was embedded, by the same upsert."""
        return {}

    def upsert(
        self,
        collection: str,
        points: Sequence[q.PointStruct],
        *,
        revision: int,
        over: Sequence[q.FieldCondition] = (),
    ) -> None:
        if points:
            self._ask("upsert", collection, points=tuple(points), revision=revision, over=tuple(over))

    def set_payloads(self, collection: str, updates: Sequence[tuple[dict[str, Any], q.Filter]]) -> None:
        for update in updates:
            self._ask("set_payloads", collection, updates=(update,))

    def delete(self, collection: str, chosen: q.Filter) -> None:
        self._ask("delete", collection, chosen=chosen)

    def _ask(self, name: str, collection: str, **arguments: Any) -> Any:
        return self._door.ask(Request("store", name, collection, tuple(arguments.items())))


class WordProcessors:
    """One chunk a word."""

    def clean(self, recipe: object, raw: RawModel) -> PostCleanedModel:
        return PostCleanedModel(
            entry=raw.entry,
            cleaned_content=str(raw.content["text"]),
            source_hash=raw.source_hash,
            platform="p",
            author_id="a",
        )

    def chunk(self, recipe: object, cleaned: PostCleanedModel) -> tuple[ChunkModel, ...]:
        return chunks_of(cleaned)

    def embed(self, recipe: object, chunks: Sequence[ChunkModel]) -> list[EmbeddedChunkModel]:
        return embed(chunks)

    def recall(self, recipe: object, chunks: Sequence[ChunkModel]) -> None:
        """Remember nothing."""


class Impatience(Patience):
    """Tries again at once: what looks like a server's failure here is a rival that deletes meanwhile."""

    def __init__(self) -> None:
        super().__init__(threading.Event())

    def __call__(self, call: Callable[[], Any]) -> Any:
        while True:
            try:
                return call()
            except StoreUnavailable:
                continue


class NoLetters:
    """Dead letters are not part of this proof."""

    def publish_dead(self, letters: Sequence[DeadLetter]) -> None:
        """Drop them."""
