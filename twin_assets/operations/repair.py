"""Mends what an audit found, through the same queues as every change."""

from __future__ import annotations

from pydantic import ValidationError

from twin_assets.models.base import DataType
from twin_assets.models.change import Change
from twin_assets.operations.audit import AuditReport
from twin_assets.operations.differences import ALLOWED
from twin_assets.operations.passes import POINT_LABEL
from twin_assets.operations.twin import Twin
from twin_assets.source.entries import is_reversible
from twin_assets.store.inspection import Inspection


def repair(twin: Twin, *reports: AuditReport) -> int:
    """Publish a forced change for every document that differs; returns how many changes.

    Points that belong to no document are deleted at once, since no change could name them.
    """
    now = twin.source.now()
    changes: dict[str, Change] = {}
    for report in reports:
        remove_foreign_points(twin, report)
        for entry in report.differing_entries():
            change = _change(report.generation.type, entry, now)
            if change is not None:
                changes[change.key] = change
    return twin.publisher.publish(changes.values())


def remove_foreign_points(twin: Twin, report: AuditReport) -> int:
    """Delete the points that no writer of ours can have written, and return for how many names."""
    names = {
        entry
        for kind, entries in report.differences.items()
        if kind not in ALLOWED
        for entry in entries
        if not is_repairable(report.generation.type, entry)
    }
    points = {name for name in names if name.startswith(POINT_LABEL)}
    inspection = Inspection(twin.store, report.generation.collection)
    inspection.delete_points([name.removeprefix(POINT_LABEL) for name in points])
    inspection.delete_entries(names - points)
    return len(names)


def is_repairable(data_type: DataType, entry: str) -> bool:
    """Say whether a change can name this document."""
    return is_reversible(entry) and _change(data_type, entry, 0) is not None


def _change(data_type: DataType, entry: str, revision: int) -> Change | None:
    try:
        return Change(type=data_type, entry=entry, revision=revision, force=True)
    except ValidationError:
        return None
