"""Compares MongoDB with a generation, document by document, both ways.

A write under way is no difference: what seems to differ counts only if it still stands, in the same state,
once everything that was committed before it was seen has been applied.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace

from twin_assets.models.generation import Generation
from twin_assets.operations.differences import Difference, Finding
from twin_assets.operations.look import Look
from twin_assets.operations.passes import POINT_LABEL, Passes, Progress, Tally
from twin_assets.operations.twin import Twin
from twin_assets.operations.watermark import await_watermark, watermark_lag_s
from twin_assets.source.entries import is_reversible

SHOWN = 20
ROUNDS = 5
ALLOWED = frozenset({Difference.UNPROCESSABLE})


@dataclass
class AuditReport:
    """What an audit found. `differences` holds every entry of each kind that occurs.

    A point that belongs to no document is named `point:<its id>`; an `_id` without an entry by a
    description. `in_flight` documents changed at every look, so nothing was concluded. `confirmed` is False
    where the watermark did not pass in time, so that differences may be changes on their way.
    """

    generation: Generation
    differences: dict[Difference, list[str]] = field(default_factory=dict)
    source: int = 0
    heads: int = 0
    chunks: int = 0
    quarantined: int = 0
    in_flight: int = 0
    confirmed: bool = True
    watermark_lag_s: float | None = None
    seconds: float = 0.0

    @property
    def clean(self) -> bool:
        """True where nothing differs but documents that cannot be processed."""
        return not set(self.differences) - ALLOWED

    def count(self, *kinds: Difference) -> int:
        """Return how many differences there are of some kinds."""
        return sum(len(self.differences.get(kind, ())) for kind in kinds)

    def first(self, *kinds: Difference) -> list[str]:
        """Return the first entries of some kinds, 20 at most."""
        return [entry for kind in kinds for entry in self.differences.get(kind, ())][:SHOWN]

    def differing_entries(self) -> list[str]:
        """Return the documents that a new look by the stream would mend, each once."""
        found = {
            entry: None
            for kind, entries in self.differences.items()
            if kind not in ALLOWED
            for entry in entries
            if is_reversible(entry)
        }
        return list(found)

    def add(self, kind: Difference, entries: Iterable[str]) -> None:
        """Add entries of one kind."""
        if new := list(entries):
            self.differences.setdefault(kind, []).extend(new)


def audit(
    twin: Twin,
    generation: Generation,
    *,
    wait_s: float = 30,
    batch: int = 1000,
    with_vectors: bool = False,
    progress: Progress | None = None,
    clock: Callable[[], float] = time.monotonic,
    pause: Callable[[float], None] = time.sleep,
) -> AuditReport:
    """Compare a generation with MongoDB, `with_vectors` down to the last number; waits `wait_s` at most.

    `progress` is called with the documents looked at and their total. Raises GenerationMissing where Qdrant
    has no such collection.
    """
    started = clock()
    report = AuditReport(generation)
    passes = Passes(
        twin, generation, batch=batch, with_vectors=with_vectors, progress=progress or _report_to_nobody
    )
    look = Look(twin, generation, with_vectors=with_vectors)
    suspects: dict[str, Finding] = {}
    for entries in passes.suspects():
        suspects |= look([entry for entry in entries if entry not in suspects])
    _count(report, passes.tally, twin.source.unsupported_ids(generation.type))
    _Confirmation(twin, report, look, until_s=clock() + wait_s, clock=clock, pause=pause).run(suspects)
    for entries_of_kind in report.differences.values():
        entries_of_kind.sort()
    report.watermark_lag_s = watermark_lag_s(twin)
    report.seconds = clock() - started
    return report


class _Confirmation:
    def __init__(
        self,
        twin: Twin,
        report: AuditReport,
        look: Look,
        *,
        until_s: float,
        clock: Callable[[], float],
        pause: Callable[[float], None],
    ) -> None:
        self._twin = twin
        self._report = report
        self._look = look
        self._until_s = until_s
        self._clock = clock
        self._pause = pause
        self._accepted: set[tuple[Difference, str]] = set()

    def run(self, suspects: dict[str, Finding]) -> None:
        """Move suspects that stand into the report; look again at those that moved meanwhile."""
        for _ in range(ROUNDS):
            suspects = self._accept(suspects, ALLOWED)
            if not suspects:
                return
            seen_by = self._twin.source.now()
            if not self._await(seen_by):
                self._accept(suspects, frozenset(Difference))
                self._report.confirmed = False
                return
            suspects = self._look_again(suspects)
        self._report.in_flight = len(self._accept(suspects, ALLOWED))

    def _await(self, revision: int) -> bool:
        return await_watermark(
            self._twin, revision, until_s=self._until_s, clock=self._clock, pause=self._pause
        )

    def _look_again(self, suspects: dict[str, Finding]) -> dict[str, Finding]:
        remaining: dict[str, Finding] = {}
        for entry, found in self._look(suspects).items():
            before = suspects[entry]
            stands = before.kinds if found.is_same_state(before) else frozenset()
            remaining |= self._accept({entry: found}, stands)
        return remaining

    def _accept(self, suspects: dict[str, Finding], kinds: frozenset[Difference]) -> dict[str, Finding]:
        """Put the findings of these kinds into the report and return the rest."""
        remaining = {}
        for entry, found in suspects.items():
            for kind in sorted(found.kinds & kinds):
                if (kind, entry) not in self._accepted:
                    self._accepted.add((kind, entry))
                    self._report.add(kind, [entry])
            if found.kinds - kinds:
                remaining[entry] = replace(found, kinds=found.kinds - kinds)
        return remaining


def _count(report: AuditReport, tally: Tally, unsupported: list[str]) -> None:
    report.source = tally.source + len(unsupported)
    report.heads = tally.heads
    report.chunks = tally.chunks
    report.quarantined = tally.quarantined
    report.add(Difference.UNPROCESSABLE, unsupported)
    report.add(Difference.ORPHAN, (f"{POINT_LABEL}{point_id}" for point_id in tally.foreign_heads))
    report.add(Difference.HEADLESS, (f"{POINT_LABEL}{point_id}" for point_id in tally.nameless))


def _report_to_nobody(done: int, total: int) -> None:
    """Ignore progress."""
