"""An audit for collections of millions: what changed since the last one, and a slice of everything else.

What changed is read from MongoDB's own history, whatever the capture made of it, and from the revisions in
Qdrant. The slices go round: each document and each point is looked at within TWIN_AUDIT_CYCLE_HOURS, since
hands leave no trace in a history. What differed once is looked at every time until it is mended.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

from twin_assets.errors import PositionLost
from twin_assets.models.audit_state import AuditState
from twin_assets.models.generation import Generation
from twin_assets.models.kinds import Snapshot
from twin_assets.operations.audit import AuditReport, audit, conclude, side_by_side, tell_tally
from twin_assets.operations.differences import Finding
from twin_assets.operations.look import Look
from twin_assets.operations.passes import POINT_LABEL, Passes
from twin_assets.operations.twin import Twin
from twin_assets.operations.version import pages
from twin_assets.source.history import changed_since
from twin_assets.store.inspection import Inspection

OPEN_AT_MOST = 1_000
LOOKED_AT_MOST = 100_000
PAGE = 1_000
# Slices are a little larger than they had to be, so that what is added meanwhile does not outrun them.
MARGIN = 1.1
USUAL_PAUSE = timedelta(hours=1)


def _now() -> datetime:
    return datetime.now(UTC)


def audit_since_last(
    twin: Twin,
    generation: Generation,
    *,
    wait_s: float = 30,
    with_vectors: bool = True,
    now: Callable[[], datetime] = _now,
) -> AuditReport:
    """Audit what has to be looked at now; in full where there is no state to go on from.

    That is so for a new generation, where MongoDB's history does not reach back, and where very much
    differed. What is not confirmed changes no state: the next audit looks at the same again.
    """
    state, began_at, began = twin.audits.load(generation.collection), now(), twin.source.now()
    if state is not None and not state.is_full_due:
        try:
            return _Increment(twin, generation, state, with_vectors=with_vectors).run(
                began, began_at, wait_s=wait_s
            )
        except PositionLost:
            pass  # everything is looked at instead
    report = audit(twin, generation, wait_s=wait_s, with_vectors=with_vectors)
    if report.confirmed:
        twin.audits.keep([known.collection for known in twin.meta.generations(include_retired=True)])
        fresh = AuditState(
            collection=generation.collection,
            revision=began,
            sliced_at=began_at,
            cycle_began_at=began_at,
            covered_at=began_at,
        )
        twin.audits.save(_with_open(fresh, report))
    return report


class _Increment:
    """One audit that goes on where the state says."""

    def __init__(self, twin: Twin, generation: Generation, state: AuditState, *, with_vectors: bool) -> None:
        self._twin = twin
        self._generation = generation
        self._state = state
        self._passes = Passes(twin, generation, batch=PAGE)
        self._look = Look(twin, generation, with_vectors=with_vectors)
        self._inspection = Inspection(twin.store, generation.collection)
        self._looked: set[str] = set()

    def run(self, began: int, began_at: datetime, *, wait_s: float) -> AuditReport:
        report = AuditReport(self._generation)
        before = self._state
        suspects: dict[str, Finding] = {}
        self._state = before.model_copy(update={"revision": began, "sliced_at": began_at})
        due = _share(before, began_at, cycle=timedelta(hours=self._twin.settings.audit_cycle_hours))
        for found in side_by_side(self._look, self._due(before, began, due)):
            suspects |= found
        tell_tally(report, self._passes.tally)
        self._count(report)
        conclude(self._twin, report, self._look, suspects, wait_s=wait_s)
        report.scope = _scope(before, due)
        if report.confirmed:
            self._twin.audits.save(_with_open(_turned(self._state, began_at), report))
        return report

    def _due(self, before: AuditState, began: int, share: float) -> Iterator[list[str]]:
        """Yield what has to be looked at, a page at a time: open, changed, and the next slice."""
        yield from self._open(before)
        yield from map(self._new, self._changed(before.revision, began))
        yield from self._documents(share)
        yield from self._points(share)

    def _open(self, before: AuditState) -> Iterator[list[str]]:
        points = [name.removeprefix(POINT_LABEL) for name in before.open if name.startswith(POINT_LABEL)]
        yield self._new([name for name in before.open if not name.startswith(POINT_LABEL)])
        yield self._new(self._passes.look_again(points))

    def _changed(self, revision: int, began: int) -> Iterator[list[str]]:
        source = self._twin.source
        yield from changed_since(source.client, source.database, self._generation.type, revision, until=began)
        for page in pages(self._inspection.scan_changed(revision), PAGE):
            yield list(dict.fromkeys(page))

    def _documents(self, share: float) -> Iterator[list[str]]:
        """Yield the next documents in the order of their `_id`, and move the state behind them."""
        if self._state.documents_done:
            return
        left = _size(self._twin.source.count(self._generation.type), share)
        for entries in self._passes.documents(after=self._state.documents_after):
            yield entries
            if entries:  # an `_id` that has no entry is no place to go on from
                self._move(documents_after=entries[-1])
            left -= len(entries)
            if left <= 0 and entries:
                return
        self._move(documents_done=True)

    def _points(self, share: float) -> Iterator[list[str]]:
        """Yield what is odd among the next points in the order of their ids, and move the state on."""
        if self._state.points_done:
            return
        left = _size(self._twin.store.count(self._generation.collection), share)
        for entries, following in self._passes.points(since=self._state.points_from):
            yield entries
            self._move(points_from=following)
            left -= PAGE
            if left <= 0 and following is not None:
                return
        self._move(points_done=True)

    def _move(self, **fields: object) -> None:
        self._state = self._state.model_copy(update=fields)

    def _new(self, entries: list[str]) -> list[str]:
        """Leave out what this audit has looked at already, as far as it remembers."""
        new = [entry for entry in entries if entry not in self._looked]
        if len(self._looked) < LOOKED_AT_MOST:
            self._looked.update(new)
        return new

    def _count(self, report: AuditReport) -> None:
        """Put the size of the whole into the report: a part of it was looked at."""
        store, name = self._twin.store, self._generation.collection
        report.source = self._twin.source.count(self._generation.type)
        report.heads = store.count_documents(name)
        report.quarantined = store.count_quarantined(name)
        report.chunks = store.count_chunks(name) if self._generation.snapshot is Snapshot.VECTOR else 0


def _share(state: AuditState, now: datetime, *, cycle: timedelta) -> float:
    """Return which part of everything is due: 1 where the cycle would end too late otherwise."""
    since = max(now - state.sliced_at, timedelta())
    if now + max(since, USUAL_PAUSE) > state.cycle_began_at + cycle:
        return 1.0
    return min(1.0, since / cycle * MARGIN)


def _size(total: int, share: float) -> int:
    return max(PAGE, math.ceil(total * share))


def _turned(state: AuditState, now: datetime) -> AuditState:
    """Begin the next cycle where both halves of this one are done."""
    if not (state.documents_done and state.points_done):
        return state
    return state.model_copy(
        update={
            "covered_at": state.cycle_began_at,
            "cycle_began_at": now,
            "documents_after": None,
            "documents_done": False,
            "points_from": None,
            "points_done": False,
        }
    )


def _with_open(state: AuditState, report: AuditReport) -> AuditState:
    differing = report.differing()
    is_much = len(differing) > OPEN_AT_MOST
    return state.model_copy(update={"open": () if is_much else tuple(differing), "is_full_due": is_much})


def _scope(before: AuditState, share: float) -> str:
    everything = before.covered_at.strftime("%F %T UTC") if before.covered_at else "never"
    slice_ = "the rest of" if share >= 1 else f"{share:.1%} of"
    return f"changes since the last audit and {slice_} everything; all of it was looked at since {everything}"
