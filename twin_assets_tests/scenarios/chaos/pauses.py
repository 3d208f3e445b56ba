"""Writers that stand still at a named point of their work, and readers that look on meanwhile."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import count
from typing import Any

import pytest

from twin_assets.faults import FaultPoint, arm
from twin_assets.models.change import Change
from twin_assets.models.chunk import ChunkModel
from twin_assets.models.kinds import DataType
from twin_assets.models.recipe import VectorRecipe
from twin_assets.operations.apply import Applier
from twin_assets.operations.batch import Counts
from twin_assets.operations.context import StepContext
from twin_assets.operations.patience import Patience
from twin_assets.operations.processors import Processors
from twin_assets.operations.twin import Twin
from twin_assets_tests.waiting import wait_until

LIMIT_S = 120.0
LOOKS = 3

# Cleaned collections are written first, so the second turn of a writing step is the vector collection's.
STOPS = [
    (FaultPoint.READ, 1),
    (FaultPoint.PLANNED, 1),
    (FaultPoint.STAGED, 1),
    (FaultPoint.HEADS_WRITTEN, 1),
    (FaultPoint.KEPT_MOVED, 2),
    (FaultPoint.VERIFIED, 2),
    (FaultPoint.HEADS_WRITTEN, 2),
    (FaultPoint.STALE_DELETED, 2),
    (FaultPoint.GENERATION_WRITTEN, 2),
]
WITHOUT_NEW_TEXT = [stop for stop in STOPS if stop[0] is not FaultPoint.STAGED]


class Hold:
    """Keeps whoever is the `turn`-th to reach a point there, until it is let go."""

    def __init__(self, point: FaultPoint, turn: int = 1) -> None:
        self._point = point
        self._turn = turn
        self._turns = count(1)
        self._reached = threading.Event()
        self._free = threading.Event()

    def __call__(self, point: FaultPoint) -> None:
        if point is self._point and next(self._turns) == self._turn:
            self._reached.set()
            assert self._free.wait(LIMIT_S), f"nobody let go of the writer at: {point}"

    def await_reached(self) -> None:
        """Wait until somebody stands there."""
        wait_until(self._reached.is_set, what=f"turn {self._turn} of: {self._point}", limit_s=LIMIT_S)

    def let_go(self) -> None:
        """Let it go on."""
        self._free.set()


class Zombie:
    """A stream's work on a batch of documents that stands still at a point, with what it had read by then.

    Begin one while no stream runs in this process: the first to reach the point is taken for the zombie.
    """

    def __init__(self, twin: Twin, numbers: Iterable[int], point: FaultPoint, turn: int) -> None:
        self._changes = [Change(type=DataType.POSTS, entry=f"int:{number}", revision=0) for number in numbers]
        self._hold = Hold(point, turn)
        self._counts: Counts | None = None
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._work, args=[twin], daemon=True)
        disarm = arm(self._hold)
        try:
            self._thread.start()
            self._hold.await_reached()
        finally:
            disarm()

    def go_on(self) -> Counts:
        """Let it finish its work; returns what it did, raises what befell it."""
        self._hold.let_go()
        self._thread.join(LIMIT_S)
        if self._failure is not None:
            raise self._failure
        assert self._counts is not None, f"the zombie did not end within {LIMIT_S} s"
        return self._counts

    def _work(self, twin: Twin) -> None:
        applier = applier_of(twin)
        try:
            self._counts = applier.apply(applier.fetch(self._changes))
        except BaseException as error:
            self._failure = error


def applier_of(twin: Twin) -> Applier:
    """Return the stream's own steps, without its queues."""
    processors = Processors.of(twin.settings)
    return Applier(StepContext(twin, processors, Patience(threading.Event()), twin.publisher))


class Reader:
    """Reads again and again in a thread of its own, and remembers all that it saw."""

    def __init__(self, read: Callable[[], Any]) -> None:
        self.seen: list[Any] = []
        self._read = read
        self._is_done = threading.Event()
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._poll, daemon=True)

    def look(self) -> list[Any]:
        """Return what the next few reads, begun from now on, see."""
        begun = len(self.seen) + 1
        wait_until(
            lambda: self._failure or len(self.seen) >= begun + LOOKS, what="the reader reads", limit_s=LIMIT_S
        )
        return self.seen[begun : begun + LOOKS]

    def _poll(self) -> None:
        try:
            while not self._is_done.is_set():
                self.seen.append(self._read())
        except BaseException as error:
            self._failure = error


def watch_encoder(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return the list of the texts that will be embedded from now on, in this process."""
    texts: list[str] = []
    original = Processors.embed

    def counting(self: Processors, recipe: VectorRecipe, chunks: Sequence[ChunkModel]) -> Any:
        texts.extend(chunk.content for chunk in chunks)
        return original(self, recipe, chunks)

    monkeypatch.setattr(Processors, "embed", counting)
    return texts


@contextmanager
def reading(read: Callable[[], Any]) -> Iterator[Reader]:
    """Have a reader at work meanwhile; raises what befell it."""
    reader = Reader(read)
    reader._thread.start()
    try:
        yield reader
    finally:
        reader._is_done.set()
        reader._thread.join(LIMIT_S)
    if reader._failure is not None:
        raise reader._failure


@contextmanager
def meddling(call: Callable[[FaultPoint], None]) -> Iterator[None]:
    """Call at every point that this thread reaches, and only this thread."""
    own = threading.get_ident()
    disarm = arm(lambda point: call(point) if threading.get_ident() == own else None)
    try:
        yield
    finally:
        disarm()
