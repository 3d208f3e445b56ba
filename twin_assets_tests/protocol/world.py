"""The world that the steps work on: a clock, one document, a registry and its collections. All immutable."""

from __future__ import annotations

from functools import lru_cache
from typing import Any, NamedTuple

from twin_assets.errors import GenerationMissing
from twin_assets.models.generation import Generation, GenerationStatus
from twin_assets.models.kinds import DataType, Snapshot
from twin_assets.processing.dispatch import RawDispatcher
from twin_assets.store.plan import Wanted
from twin_assets.store.writer import GenerationWriter
from twin_assets_tests.protocol.interning import Interned
from twin_assets_tests.protocol.replay import Raised, Request
from twin_assets_tests.store.builders import chunks_of, embed, generation, wanted
from twin_assets_tests.store.memory_store import MemoryStore, Points

TYPE, ENTRY = DataType.POSTS, "int:1"
POISON = "!"
Version = str | None
ABSENT = -1


class World(NamedTuple):
    """`clock` counts commits in MongoDB, or what DocumentDB's clock has shown so far.

    A generation is (snapshot, number, since); contents are numbers.
    """

    clock: int
    document: Version
    generations: tuple[tuple[Snapshot, int, int | None], ...]
    contents: tuple[int, ...]


class Effects:
    """Applies requests to worlds, and remembers what each did to each collection.

    With `has_moments` commits do not move the clock, as DocumentDB's may stand for a millisecond: only who
    waits for its next moment does.
    """

    def __init__(self, requests: Interned, answers: Interned, *, has_moments: bool = False) -> None:
        self.contents = Interned()
        self.empty = self.contents.number({})
        self._moved = 0 if has_moments else 1
        self._requests = requests
        self._answers = answers
        self._known: dict[tuple[int, int], tuple[int, int]] = {}
        self._worlds: list[World] = []
        self._numbers: dict[World, int] = {}
        self._applied: dict[tuple[int, int], tuple[int, int]] = {}

    def first_world(self, *, cleaned: bool) -> World:
        """Return the world before the first commit: live generations, empty."""
        snapshots = [Snapshot.CLEANED, Snapshot.VECTOR] if cleaned else [Snapshot.VECTOR]
        generations = tuple((snapshot, 1, 0) for snapshot in snapshots)
        return World(0, None, generations, tuple(self.empty for _ in snapshots))

    def commit(self, world: World, version: Version) -> World:
        """Return the world with another version of its document."""
        return world._replace(clock=world.clock + self._moved, document=version)

    def applied(self, world: World) -> World:
        """Return the world with its document written into all generations, as of the world's clock."""
        contents = []
        for snapshot, number, _ in world.generations:
            store = MemoryStore({registered(snapshot, number, 0).collection: {}})
            writer = GenerationWriter(store, registered(snapshot, number, 0), revision=world.clock)
            document = wanted(world.document)
            if world.document is not None:
                raw = RawDispatcher.dispatch(TYPE, ENTRY, document_of(world.document) or {})
                cleaned = document.cleaned.model_copy(update={"source_hash": raw.source_hash})
                chunks = chunks_of(cleaned) if snapshot is Snapshot.VECTOR else ()
                document = Wanted(TYPE, ENTRY, cleaned=cleaned, chunks=chunks)
            plans = writer.plan([document])
            writer.stage((plan, chunk) for plan in plans for chunk in embed(plan.new))
            writer.finish(plans, embed=embed)
            (held,) = store.collections.values()
            contents.append(self.contents.number(_normal(held)))
        return world._replace(contents=tuple(contents))

    def number(self, world: World) -> int:
        """Return the number by which states know a world."""
        if world not in self._numbers:
            self._numbers[world] = len(self._worlds)
            self._worlds.append(world)
        return self._numbers[world]

    def world(self, number: int) -> World:
        """Return the world behind a number."""
        return self._worlds[number]

    def apply(self, world: int, request: int) -> tuple[int, int]:
        """Return the world after a request, and the answer; all by their numbers."""
        if (world, request) not in self._applied:
            after, answer = self._apply(self._worlds[world], request)
            self._applied[world, request] = self.number(after), answer
        return self._applied[world, request]

    def _apply(self, world: World, request_number: int) -> tuple[World, int]:
        request: Request = self._requests.values[request_number]
        if request.part == "store":
            return self._store(world, request_number, request)
        world, answer = getattr(self, f"_{request.name}")(world, **dict(request.arguments))
        return world, self._answers.number(answer)

    def points(self, content: int) -> Points:
        """Return the points behind a number."""
        found: Points = self.contents.values[content]
        return found

    def _time(self, world: World) -> tuple[World, int]:
        return world, world.clock

    def _moment_after(self, world: World, asked: int) -> tuple[World, int]:
        """Move the clock as little as may be: two who asked at once may get the same moment."""
        moment = max(world.clock, asked + 1)
        return world._replace(clock=moment), moment

    def _find(self, world: World) -> tuple[World, dict[str, Any] | None]:
        return world, document_of(world.document)

    def _registry(self, world: World) -> tuple[World, list[Generation]]:
        return world, [registered(*each) for each in world.generations]

    def _register(self, world: World) -> tuple[World, None]:
        generations = (*world.generations, (Snapshot.VECTOR, 2, None))
        contents = (*world.contents, ABSENT)
        clock = world.clock + self._moved
        return world._replace(clock=clock, generations=generations, contents=contents), None

    def _set_since(self, world: World) -> tuple[World, int]:
        snapshot, number, _ = world.generations[-1]
        dated = (*world.generations[:-1], (snapshot, number, world.clock))
        return world._replace(clock=world.clock + self._moved, generations=dated), world.clock

    def _create(self, world: World) -> tuple[World, None]:
        return world._replace(contents=(*world.contents[:-1], self.empty)), None

    def _store(self, world: World, request_number: int, request: Request) -> tuple[World, int]:
        at = next(
            at
            for at, (snapshot, number, _) in enumerate(world.generations)
            if generation(snapshot, number).collection == request.collection
        )
        content = world.contents[at]
        if (request_number, content) not in self._known:
            self._known[request_number, content] = self._work(request, content)
        after, answer = self._known[request_number, content]
        if after == content:
            return world, answer
        contents = (*world.contents[:at], after, *world.contents[at + 1 :])
        return world._replace(contents=contents), answer

    def _work(self, request: Request, content: int) -> tuple[int, int]:
        if content == ABSENT:
            return content, self._answers.number(Raised(GenerationMissing(request.collection)))
        points = {point_id: dict(payload) for point_id, payload in self.points(content).items()}
        store = MemoryStore({request.collection: points})
        call, named = getattr(store, request.name), dict(request.arguments)
        answer = call(request.collection, **named)
        held = store.collections[request.collection]
        return self.contents.number(_normal(held)), self._answers.number(answer)


@lru_cache(maxsize=64)
def registered(snapshot: Snapshot, number: int, since: int | None) -> Generation:
    """Return a generation as the registry has it."""
    status = GenerationStatus.LIVE if number == 1 else GenerationStatus.BUILDING
    return generation(snapshot, number).model_copy(update={"since": since, "status": status})


def _normal(points: Points) -> Points:
    return {point_id: dict(sorted(points[point_id].items())) for point_id in sorted(points)}


def document_of(version: Version) -> dict[str, Any] | None:
    """Return a version as MongoDB holds it."""
    if version is None:
        return None
    if version == POISON:
        return {"platform": "p", "content": {"text": "no author"}}
    return {"platform": "p", "author_id": "a", "content": {"text": version}}
