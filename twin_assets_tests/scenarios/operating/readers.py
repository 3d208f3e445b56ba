"""Readers that look all the time at what they are given, whatever is restored behind it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from twin_assets.errors import GenerationMissing
from twin_assets.models.generation import alias_of
from twin_assets.models.kinds import DataType, Snapshot
from twin_assets.settings import Settings
from twin_assets.store.point_store import PointStore, open_store
from twin_assets_tests.waiting import wait_until

ALIASES = [alias_of(snapshot, data_type) for data_type in DataType for snapshot in Snapshot]
PACE_S = 0.01
END_S = 60.0


@contextmanager
def reading(settings: Settings) -> Iterator[dict[str, int]]:
    """Count the documents behind every name all the time; gives the fewest that were ever seen, by name."""
    stop, fewest = threading.Event(), {}

    def look() -> None:
        with open_store(settings) as store:
            while not stop.wait(PACE_S):
                for alias, seen in documents_seen(store).items():
                    fewest[alias] = min(seen, fewest.get(alias, seen))

    reader = threading.Thread(target=look)
    reader.start()
    try:
        wait_until(lambda: len(fewest) == len(ALIASES), what="readers have looked")
        yield fewest
    finally:
        stop.set()
        reader.join(END_S)
    assert not reader.is_alive()


def documents_seen(store: PointStore) -> dict[str, int]:
    """Return how many documents readers find behind each name, -1 where there is no such name."""
    return {alias: _count(store, alias) for alias in ALIASES}


def _count(store: PointStore, alias: str) -> int:
    try:
        return store.count_documents(alias)
    except GenerationMissing:
        return -1
