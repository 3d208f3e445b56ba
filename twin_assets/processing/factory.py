"""The tables behind the handler factories: one handler for each data type, or the import fails."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

from twin_assets.models.kinds import DataType

T = TypeVar("T")


def complete_table(table: Mapping[DataType, T]) -> Mapping[DataType, T]:
    """Return the table. Raises NotImplementedError where a data type has no row."""
    missing = [data_type.value for data_type in DataType if data_type not in table]
    if missing:
        raise NotImplementedError(f"no handler for {', '.join(missing)}")
    return table
