"""Fills a new generation with everything that MongoDB holds, while the stream feeds it already."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from twin_assets.errors import SourceUnavailable
from twin_assets.faults import FaultPoint, fault_point
from twin_assets.models.cleaned import CleanedModel
from twin_assets.models.generation import Generation
from twin_assets.operations.apply import Applier
from twin_assets.operations.batch import Counts, Item
from twin_assets.operations.context import StepContext
from twin_assets.operations.lineage import CleanedSnapshot
from twin_assets.source.documents import SourceRead

SCAN_BATCH = 100
TOUCH_INTERVAL_S = 60.0


@dataclass(frozen=True)
class RebuildProgress:
    """How far a scan has come; `seconds` since it began."""

    documents: int
    total: int
    chunks_embedded: int
    chunks_reused: int
    seconds: float

    @property
    def chunks_per_s(self) -> float:
        """Chunks embedded per second so far."""
        return self.chunks_embedded / self.seconds if self.seconds else 0.0

    @property
    def remaining_s(self) -> float | None:
        """Seconds to go at the pace so far; None before the first documents."""
        if not self.documents:
            return None
        return self.seconds / self.documents * max(0, self.total - self.documents)


def scan(
    context: StepContext,
    generation: Generation,
    *,
    donors: Sequence[Generation] = (),
    progress: Callable[[RebuildProgress], None],
    clock: Callable[[], float] = time.monotonic,
) -> Counts:
    """Bring every document into one generation, the text of vectors from the cleaned snapshot where it can.

    Vectors of equal text are taken from `donors`. Raises Stopped on a stop; a server that goes away is
    waited for.
    """
    counts, applier, started, touched = Counts(), Applier(context), clock(), clock()
    total = context.patience(partial(context.twin.source.count, generation.type))
    cleaned = context.patience(partial(CleanedSnapshot, context.twin, generation))
    targets = {generation.type: [generation]}

    def upstream(items: Sequence[Item]) -> Mapping[str, CleanedModel]:
        return context.patience(partial(cleaned, items))

    for read in _read_all(context, generation):
        batch = applier.batch_of(read, targets=targets)
        batch.donors = donors
        counts.add(applier.apply(batch, upstream=upstream))
        fault_point(FaultPoint.BATCH_SCANNED)
        progress(
            RebuildProgress(
                documents=counts.documents,
                total=total,
                chunks_embedded=counts.chunks_embedded,
                chunks_reused=counts.chunks_reused,
                seconds=clock() - started,
            )
        )
        if clock() - touched > TOUCH_INTERVAL_S:
            touched = clock()
            context.patience(partial(context.twin.meta.touch, generation.collection))
    return counts


def _read_all(context: StepContext, generation: Generation) -> Iterator[SourceRead]:
    """Read every document; where MongoDB was away, go on behind the last one that was read."""
    source, after = context.twin.source, None
    while True:
        try:
            for read in source.scan(
                generation.type, batch_size=SCAN_BATCH, at_least=generation.since or 0, after=after
            ):
                yield read
                after = next((entry for _, entry in reversed(read.documents)), after)
        except SourceUnavailable:
            context.patience(source.now)
        else:
            return
