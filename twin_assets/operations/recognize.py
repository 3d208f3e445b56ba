"""Tells a MongoDB that has lost its records, or is another one, from a new installation."""

from __future__ import annotations

from twin_assets.errors import CollectionsUnknown
from twin_assets.models.generation import is_ours
from twin_assets.operations.twin import Twin


def require_known(twin: Twin) -> None:
    """Raise CollectionsUnknown where Qdrant has collections of ours and the registry none at all.

    Taken for the first ones of a new registry, they would be emptied of all that MongoDB does not hold.
    """
    if twin.meta.generations(include_retired=True):
        return
    if ours := list(filter(is_ours, twin.collections.names())):
        raise CollectionsUnknown(ours, twin.settings.meta_database)
