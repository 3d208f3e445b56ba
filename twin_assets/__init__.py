"""Keeps a cleaned and a vector snapshot of MongoDB documents in Qdrant, in step in real time."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from twin_assets.operations.features import FeatureStore

__all__ = ["FeatureStore"]


def __getattr__(name: str) -> object:
    """Load the readers' door when it is first asked for: `import twin_assets` itself stays light."""
    if name != "FeatureStore":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from twin_assets.operations.features import FeatureStore  # noqa: PLC0415

    return FeatureStore
