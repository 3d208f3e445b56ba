"""Mends just what an audit found, through the same queues as every change, and looks whether that helped."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field
from functools import partial

from pydantic import ValidationError

from twin_assets.models.change import Change
from twin_assets.models.generation import GenerationStatus
from twin_assets.models.kinds import DataType
from twin_assets.operations.audit import AuditReport, audit
from twin_assets.operations.confirmation import Confirmation
from twin_assets.operations.differences import ALLOWED, Difference
from twin_assets.operations.look import Look
from twin_assets.operations.passes import POINT_LABEL
from twin_assets.operations.twin import Twin
from twin_assets.operations.watermark import await_watermark
from twin_assets.source.entries import is_reversible
from twin_assets.store.inspection import Inspection

Entries = dict[DataType, list[str]]
Audited = Callable[[str], None]


@dataclass
class RepairReport:
    """What was found and what was done about it; after a dry run, what would be done.

    `changes` names the documents that were published with `force`, by type; `foreign` counts the points that
    no writer of ours can have written, which were removed. Of an audit in `unconfirmed` nothing was mended:
    what it found may be on its way. `remaining` names what still differs after the stream has done its part,
    by collection, and is None where nobody waited for that.
    """

    audits: list[AuditReport]
    changes: Entries = field(default_factory=dict)
    foreign: int = 0
    unconfirmed: list[str] = field(default_factory=list)
    remaining: dict[str, list[str]] | None = None
    is_dry_run: bool = False

    @property
    def documents(self) -> int:
        """How many documents were published, each once."""
        return sum(map(len, self.changes.values()))

    @property
    def is_mended(self) -> bool:
        """Whether nothing differs any more, as far as anybody looked."""
        return not self.unconfirmed and not any((self.remaining or {}).values())


def audit_live(
    twin: Twin,
    types: Collection[DataType] | None = None,
    *,
    wait_s: float = 30,
    audited: Audited | None = None,
) -> list[AuditReport]:
    """Audit the live generations of some types (all by default), down to the last letter and number."""
    reports = []
    for generation in twin.meta.generations():
        is_wanted = types is None or generation.type in types
        if generation.status is GenerationStatus.LIVE and is_wanted:
            reports.append(audit(twin, generation, wait_s=wait_s, with_vectors=True))
            if audited:
                audited(generation.alias)
    return reports


def repair(twin: Twin, *reports: AuditReport, is_dry_run: bool = False) -> RepairReport:
    """Publish a forced change for every document that differs, whichever snapshot it differs in.

    Points that belong to no document are deleted at once, since no change could name them.
    """
    result = RepairReport(list(reports), is_dry_run=is_dry_run)
    result.unconfirmed = [report.generation.alias for report in reports if not report.confirmed]
    changes: dict[str, Change] = {}
    now = twin.source.now()
    for report in reports:
        if not report.confirmed:
            continue
        result.foreign += len(foreign_names(report)) if is_dry_run else remove_foreign_points(twin, report)
        for entry in report.differing_entries():
            change = _change(report.generation.type, entry, now)
            if change is not None:
                changes[change.key] = change
    for change in changes.values():
        result.changes.setdefault(change.type, []).append(change.entry)
    if not is_dry_run:
        twin.publisher.publish(changes.values())
    return result


def await_mended(
    twin: Twin,
    result: RepairReport,
    *,
    wait_s: float,
    clock: Callable[[], float] = time.monotonic,
    pause: Callable[[float], None] = time.sleep,
) -> None:
    """Wait until the stream has applied the changes, then say in the report what still differs.

    Where that takes longer than `wait_s`, everything that differs now counts as remaining.
    """
    until_s = clock() + wait_s
    await_watermark(twin, twin.source.now(), until_s=until_s, clock=clock, pause=pause)
    result.remaining = {}
    for report in result.audits:
        generation = report.generation
        left: dict[str, None] = {}
        look = Look(twin, generation, with_vectors=True)
        confirmation = Confirmation(
            twin, look, partial(_note, left), until_s=until_s, clock=clock, pause=pause
        )
        confirmation.run(look(result.changes.get(generation.type, [])))
        if left:
            result.remaining[generation.alias] = sorted(left)


def _note(left: dict[str, None], kind: Difference, entry: str) -> None:
    if kind not in ALLOWED:
        left[entry] = None


def foreign_names(report: AuditReport) -> list[str]:
    """Return the points, and entries, that no change can name."""
    return [name for name in report.differing() if not is_repairable(report.generation.type, name)]


def remove_foreign_points(twin: Twin, report: AuditReport) -> int:
    """Delete the points that no writer of ours can have written, and return for how many names."""
    names = foreign_names(report)
    points = [name for name in names if name.startswith(POINT_LABEL)]
    inspection = Inspection(twin.store, report.generation.collection)
    inspection.delete_points([name.removeprefix(POINT_LABEL) for name in points])
    inspection.delete_entries(_without(names, points))
    return len(names)


def is_repairable(data_type: DataType, entry: str) -> bool:
    """Say whether a change can name this document."""
    return is_reversible(entry) and _change(data_type, entry, 0) is not None


def _without(names: Iterable[str], others: Collection[str]) -> list[str]:
    known = set(others)
    return [name for name in names if name not in known]


def _change(data_type: DataType, entry: str, revision: int) -> Change | None:
    try:
        return Change(type=data_type, entry=entry, revision=revision, force=True)
    except ValidationError:
        return None
