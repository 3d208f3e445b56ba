"""Capture in a thread, a publisher and a store in memory."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

from twin_assets.broker.topology import queue_names
from twin_assets.errors import BrokerUnavailable, GenerationMissing, StoreUnavailable
from twin_assets.models.change import Change, DeadLetter, Marker
from twin_assets.operations.capture import run_capture
from twin_assets.operations.capture_progress import CaptureProgress
from twin_assets.operations.tracing import Headers
from twin_assets.settings import Settings
from twin_assets.source.documents import DocumentSource
from twin_assets.source.meta import MetaStore
from twin_assets_tests.waiting import wait_until


class MemoryPublisher:
    """Keeps what was published, in order; `is_down` and `missing` are the broker's state."""

    def __init__(self, queues: int) -> None:
        self.messages: list[Change | Marker] = []
        self.dead: list[DeadLetter] = []
        self.missing = queue_names(queues)
        self.is_down = False

    @property
    def changes(self) -> list[Change]:
        return [message for message in self.messages if isinstance(message, Change)]

    @property
    def keys(self) -> list[str]:
        return [change.key for change in self.changes]

    @property
    def markers(self) -> list[Marker]:
        return [message for message in self.messages if isinstance(message, Marker)]

    def publish(self, changes: Iterable[Change], headers: Mapping[str, Headers] | None = None) -> int:
        self._check()
        published = list(changes)
        self.messages.extend(published)
        return len(published)

    def publish_marker(self, marker: Marker) -> None:
        self._check()
        self.messages.append(marker)

    def publish_dead(self, letters: Sequence[DeadLetter]) -> None:
        self._check()
        self.dead.extend(letters)

    def queues_missing(self) -> list[str]:
        self._check()
        return self.missing

    def declare_missing(self) -> list[str]:
        declared, self.missing = self.missing, []
        return declared

    def _check(self) -> None:
        if self.is_down:
            raise BrokerUnavailable("memory", "down")


class MemoryStore:
    """The entries of heads by collection."""

    def __init__(self) -> None:
        self.heads: dict[str, list[str]] = {}
        self.is_down = False

    def head_entries(self, collection: str) -> Iterator[list[str]]:
        if self.is_down:
            raise StoreUnavailable("memory", "down")
        if collection not in self.heads:
            raise GenerationMissing(collection)
        yield self.heads[collection]


@dataclass
class MemoryTwin:
    settings: Settings
    source: DocumentSource
    meta: MetaStore
    publisher: Any
    store: Any = field(default_factory=MemoryStore)


class Capturing:
    """A running capture; leaving the block stops it, and raises what it raised."""

    def __init__(self, twin: MemoryTwin) -> None:
        self.twin = twin
        self.progress = CaptureProgress()
        self.waited_for: set[str] = set()
        self.error: BaseException | None = None
        self.stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        self.stop.set()
        self.join()
        if error is None and self.error is not None:
            raise self.error

    def join(self) -> None:
        self._thread.join(20)
        assert not self._thread.is_alive()

    def until_published(self, *keys: str) -> None:
        wait_until(lambda: set(keys) <= set(self.twin.publisher.keys), what=f"published {keys}")

    def until_ready(self) -> None:
        wait_until(lambda: self.progress.snapshot_done, what="the snapshot is done")

    def _run(self) -> None:
        try:
            run_capture(self.twin, stop=self.stop, report=self._report)  # type: ignore[arg-type]
        except BaseException as error:
            self.error = error

    def _report(self, progress: CaptureProgress) -> None:
        self.progress = progress
        self.waited_for.add(progress.waiting_for)
