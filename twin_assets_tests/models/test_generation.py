from __future__ import annotations

import pytest

from twin_assets.models.generation import alias_of, collection_name
from twin_assets.models.kinds import DataType, Snapshot


@pytest.mark.parametrize("snapshot", Snapshot)
@pytest.mark.parametrize("data_type", DataType)
def test_physical_name_is_the_alias_with_a_number(snapshot: Snapshot, data_type: DataType) -> None:
    assert alias_of(snapshot, data_type) == f"{snapshot}_{data_type}"
    assert collection_name(snapshot, data_type, 3) == f"{snapshot}_{data_type}__g0003"
