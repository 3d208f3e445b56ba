"""A rebuild of some documents, in every generation: forced changes that take the way of all others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from twin_assets.errors import ConfigurationError
from twin_assets.models.change import Change
from twin_assets.models.kinds import DataType
from twin_assets.operations.twin import Twin
from twin_assets.source.selection import select_entries


def rebuild_some(twin: Twin, data_type: DataType, wanted: Mapping[str, Sequence[str]]) -> int:
    """Have the stream process documents anew, embedding included; return how many are on their way.

    `wanted` says which values a field may have. Raises ConfigurationError where no document is meant.
    """
    revision, published = twin.source.now(), 0
    for entries in select_entries(twin.source.client, twin.source.database, data_type, wanted):
        published += twin.publisher.publish(
            [Change(type=data_type, entry=entry, revision=revision, force=True) for entry in entries]
        )
    if not published:
        said = " and ".join(f"{field} {' or '.join(values)}" for field, values in wanted.items())
        raise ConfigurationError(f"no document of {data_type.value} has {said}")
    return published
