"""Compares MongoDB with a generation, document by document, both ways.

Memory is bounded by a page of documents, or by one document's text, and by the differences that are found.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field

from twin_assets.models.generation import Generation
from twin_assets.operations.confirmation import Confirmation
from twin_assets.operations.differences import ALLOWED, Difference, Finding
from twin_assets.operations.look import Look
from twin_assets.operations.passes import POINT_LABEL, Passes, Progress, Tally
from twin_assets.operations.twin import Twin
from twin_assets.operations.watermark import watermark_lag_s
from twin_assets.source.entries import is_reversible

SHOWN = 20
EVERYTHING = "everything"


@dataclass
class AuditReport:
    """What an audit found. `differences` holds every entry of each kind that occurs.

    A point that no writer of ours can have written is named `point:<its id>`; an `_id` without an entry by a
    description. `in_flight` documents changed at every look, so nothing was concluded. `confirmed` is False
    where the watermark did not pass in time, so that differences may be changes on their way. `scope` says
    what was compared.
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
    scope: str = EVERYTHING

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

    def differing(self) -> list[str]:
        """Return everything that differs, documents and foreign points, each once."""
        found = (entries for kind, entries in self.differences.items() if kind not in ALLOWED)
        return list(dict.fromkeys(entry for entries in found for entry in entries))

    def differing_entries(self) -> list[str]:
        """Return the documents that a new look by the stream would mend, each once."""
        return [entry for entry in self.differing() if is_reversible(entry)]

    def add(self, kind: Difference, entries: Iterable[str]) -> None:
        """Add entries of one kind."""
        if new := list(entries):
            self.differences.setdefault(kind, []).extend(new)


def audit(
    twin: Twin,
    generation: Generation,
    *,
    wait_s: float = 30,
    moving_s: float = 0,
    batch: int = 1000,
    with_vectors: bool = False,
    progress: Progress | None = None,
    clock: Callable[[], float] = time.monotonic,
    pause: Callable[[float], None] = time.sleep,
) -> AuditReport:
    """Compare a generation with MongoDB, `with_vectors` down to the last letter and number.

    Waits `wait_s` at most for changes on their way, and on while the watermark moves at least every
    `moving_s`. `progress` is called with the documents looked at and their total. Raises GenerationMissing
    where Qdrant has no such collection.
    """
    started = clock()
    report = AuditReport(generation)
    passes = Passes(twin, generation, batch=batch)
    look = Look(twin, generation, with_vectors=with_vectors)
    suspects: dict[str, Finding] = {}
    for found in side_by_side(look, passes.documents(progress)):
        suspects |= found
    for entries, _ in passes.points():
        suspects |= look([entry for entry in entries if entry not in suspects])
    tell_tally(report, passes.tally)
    conclude(twin, report, look, suspects, wait_s=wait_s, moving_s=moving_s, clock=clock, pause=pause)
    report.seconds = clock() - started
    return report


def side_by_side(look: Look, pages: Iterable[list[str]]) -> Iterator[dict[str, Finding]]:
    """Look at pages of documents, two at a time: the servers work on one while we compare the other."""
    with ThreadPoolExecutor(max_workers=2, thread_name_prefix="twin audit") as threads:
        at_work: deque[Future[dict[str, Finding]]] = deque()
        for entries in pages:
            at_work.append(threads.submit(look, entries))
            if len(at_work) == 2:
                yield at_work.popleft().result()
        for looking in at_work:
            yield looking.result()


def tell_tally(report: AuditReport, tally: Tally) -> None:
    """Put into the report what the passes counted."""
    report.source = tally.source
    report.heads = tally.heads
    report.chunks = tally.chunks
    report.quarantined = tally.quarantined
    report.add(Difference.UNPROCESSABLE, tally.unsupported)
    # One that was found before and lies in this slice as well is met twice.
    for kind, point_ids in ((Difference.ORPHAN, tally.foreign), (Difference.HEADLESS, tally.nameless)):
        report.add(kind, (f"{POINT_LABEL}{point_id}" for point_id in dict.fromkeys(point_ids)))


def conclude(
    twin: Twin,
    report: AuditReport,
    look: Look,
    suspects: dict[str, Finding],
    *,
    wait_s: float,
    moving_s: float = 0,
    clock: Callable[[], float] = time.monotonic,
    pause: Callable[[float], None] = time.sleep,
) -> None:
    """Put into the report which suspects stand."""
    outcome = Confirmation(
        twin,
        look,
        lambda kind, entry: report.add(kind, [entry]),
        until_s=clock() + wait_s,
        moving_s=moving_s,
        clock=clock,
        pause=pause,
    ).run(suspects)
    report.confirmed, report.in_flight = outcome.confirmed, outcome.in_flight
    for entries_of_kind in report.differences.values():
        entries_of_kind.sort()
    report.watermark_lag_s = watermark_lag_s(twin)
