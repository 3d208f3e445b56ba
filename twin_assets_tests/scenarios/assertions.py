"""What must hold at the end of every scenario."""

from __future__ import annotations

from twin_assets.models.kinds import DataType, Snapshot
from twin_assets.operations.audit import audit
from twin_assets.operations.twin import Twin


def assert_clean(twin: Twin) -> None:
    """Compare every live collection with MongoDB, to the last number."""
    for data_type in DataType:
        for snapshot in Snapshot:
            live = twin.live_generation(snapshot, data_type)
            assert live is not None
            report = audit(twin, live, with_vectors=True)
            assert (report.clean, report.differences, report.confirmed) == (True, {}, True)
