from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from dagster import DagsterInstance


@pytest.fixture
def instance(tmp_path: Path) -> Iterator[DagsterInstance]:
    # On disk: threads that share SQLite in memory get "table is locked" at once, without any wait.
    with DagsterInstance.local_temp(str(tmp_path)) as on_disk:
        yield on_disk
