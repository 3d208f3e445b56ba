"""Which documents changed since a time, as MongoDB itself remembers it: a reader apart from the capture."""

from __future__ import annotations

from collections.abc import Iterator

from twin_assets.errors import PositionLost
from twin_assets.models.kinds import DataType
from twin_assets.source.changes import Position
from twin_assets.source.client import Client
from twin_assets.source.watch import watch

WAIT_S = 0.5
BATCH = 1000


def changed_since(
    client: Client, database: str, data_type: DataType, revision: int, *, until: int
) -> Iterator[list[str]]:
    """Yield the entries that changed at or after `revision` and up to `until`, some more than once.

    Raises PositionLost where MongoDB does not remember, or where the collection was dropped or renamed since.
    """
    with watch(client, database, Position(None, revision), limit=BATCH) as stream:
        while stream.position.revision < until:
            batch = stream.next_batch(WAIT_S)
            if data_type in batch.lost or batch.position.start_after:
                raise PositionLost(f"{data_type.value} was dropped or renamed")
            entries = dict.fromkeys(change.entry for change in batch.changes if change.type is data_type)
            if entries:
                yield list(entries)
