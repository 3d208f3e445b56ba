"""Sees when documents become searchable, with one request at a time whatever the number that is waited for.

A thread per document, each asking again and again, would be the load that it measures.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from qdrant_client import models as q

from benchmarks.world import LIMIT_S, World
from twin_assets.models.kinds import DataType, Snapshot
from twin_assets.store import filters

PAUSE_S = 0.002


class Watcher:
    """Waits for posts; `latencies` are seconds from the moment that each was committed, in no order."""

    def __init__(self, world: World) -> None:
        self._store = world.twin.store
        self._collection = world.twin.live_generation(Snapshot.VECTOR, DataType.POSTS).collection
        self._committed: dict[str, float] = {}
        self._changed = threading.Condition()
        self._is_over = False
        self.latencies: list[float] = []

    def expect(self, entry: str) -> None:
        """Wait for a document that has been committed right now."""
        with self._changed:
            self._committed[entry] = time.perf_counter()
            self._changed.notify_all()

    def await_all(self) -> None:
        """Return once everything expected is searchable. Raises TimeoutError."""
        with self._changed:
            if not self._changed.wait_for(lambda: not self._committed, LIMIT_S):
                raise TimeoutError(f"{sorted(self._committed)}: not searchable within {LIMIT_S:.0f} s")

    def watch(self) -> None:
        """Look again and again until `end`."""
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._committed or self._is_over)
                wanted = list(self._committed)
            if self._is_over:
                return
            chunks = q.Filter(must=[filters.entries_in(wanted)], must_not=[filters.HEAD])
            records = self._store.scroll(self._collection, chunks, fields=["entry"])
            seen = {str((record.payload or {})["entry"]) for record in records}
            now = time.perf_counter()
            with self._changed:
                self.latencies += [now - self._committed.pop(entry) for entry in seen]
                self._changed.notify_all()
            time.sleep(PAUSE_S)

    def end(self) -> None:
        """Have `watch` return."""
        with self._changed:
            self._is_over = True
            self._changed.notify_all()


@contextmanager
def watching(world: World) -> Iterator[Watcher]:
    watcher = Watcher(world)
    thread = threading.Thread(target=watcher.watch, name="watcher", daemon=True)
    thread.start()
    try:
        yield watcher
        watcher.await_all()
    finally:
        watcher.end()
        thread.join()
