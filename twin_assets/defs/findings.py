"""What the checks found, as the UI shows it: counts, ids, and one table. Never any text."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dagster import MetadataValue, TableColumn, TableMetadataValue, TableRecord, TableSchema

from twin_assets.operations.differences import Difference

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from twin_assets.operations.audit import AuditReport
    from twin_assets.operations.checks import CheckResult
    from twin_assets.operations.repair import RepairReport

FIRST = 20
Value = MetadataValue | int | float | str | list[str]
Metadata = dict[str, Value]

_COLUMNS = {"difference": "string", "count": "int", "first": "string"}
_REPAIR_COLUMNS = {"collection": "string", **_COLUMNS}


def metadata_of_check(result: CheckResult) -> Metadata:
    """Return a check's figures and, where it counts differences, the table of them."""
    metadata: Metadata = dict(result.metadata)
    rows = [
        {"difference": kind.value, "count": count, "first": ", ".join(_ids(result.metadata, kind))}
        for kind in Difference
        if isinstance(count := result.metadata.get(kind.value), int)
    ]
    return metadata | ({"differences": _table(_COLUMNS, rows)} if rows else {})


def metadata_of_repair(result: RepairReport) -> Metadata:
    """Return what a repair found, did and left."""
    rows = [row for report in result.audits for row in _rows(report)]
    metadata: Metadata = {
        "documents": result.documents,
        "foreign_points": result.foreign,
        "is_dry_run": str(result.is_dry_run).lower(),
        "found": _table(_REPAIR_COLUMNS, rows),
        "unconfirmed": result.unconfirmed,
    }
    for data_type, entries in result.changes.items():
        metadata[f"{data_type.value}_ids"] = entries[:FIRST]
    for alias, entries in (result.remaining or {}).items():
        metadata[f"{alias}_remaining"] = len(entries)
        metadata[f"{alias}_remaining_ids"] = entries[:FIRST]
    return metadata


def _rows(report: AuditReport) -> Iterable[dict[str, str | int]]:
    for kind, entries in sorted(report.differences.items()):
        first = ", ".join(entries[:FIRST])
        alias = report.generation.alias
        yield {"collection": alias, "difference": kind.value, "count": len(entries), "first": first}


def _ids(metadata: Mapping[str, object], kind: Difference) -> list[str]:
    ids = metadata.get(f"{kind.value}_ids", [])
    return ids if isinstance(ids, list) else []


def _table(columns: Mapping[str, str], rows: Iterable[Mapping[str, str | int]]) -> TableMetadataValue:
    return MetadataValue.table(
        records=[TableRecord(dict(row)) for row in rows],
        schema=TableSchema(columns=[TableColumn(name, kind) for name, kind in columns.items()]),
    )
