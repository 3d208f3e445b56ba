"""The steps of the flow, each on whole batches, and what stands around them: counting, waiting, settling."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Collection, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial

from twin_assets.broker.consumer import Delivery
from twin_assets.errors import (
    BrokerUnavailable,
    ClusterTimeWentBack,
    DocumentRejected,
    MalformedMessage,
    SourceUnavailable,
)
from twin_assets.faults import FaultPoint, fault_point
from twin_assets.models.ages import AgeHistogram
from twin_assets.models.change import Change, DeadLetter, Marker
from twin_assets.operations.apply import Applier
from twin_assets.operations.batch import Batch, Counts
from twin_assets.operations.context import StepContext
from twin_assets.operations.freshness import AgeMeter
from twin_assets.operations.rate import Rate
from twin_assets.operations.tracing import NO_TRACES, StreamTracer
from twin_assets.stream.housekeeping import Housekeeping
from twin_assets.stream.intake import Intake, is_suspect
from twin_assets.stream.round import Round

CRASH_LIMIT = 3

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class StreamProgress:
    """What a stream has done since its start, and how far it has come."""

    counts: Counts
    chunks_per_s: float = 0.0
    watermark: int | None = None
    waiting_for: str = ""
    dead_letters: int = 0


class StreamSteps:
    """One replica's steps. Each takes and returns rounds, so that the flow is a list of names."""

    def __init__(
        self,
        context: StepContext,
        intake: Intake,
        *,
        report: Callable[[StreamProgress], None],
        tracer: StreamTracer = NO_TRACES,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._context = context
        self._tracer = tracer
        self._applier = Applier(context)
        self._intake = intake
        self._report = report
        self._rate = Rate(clock)
        self._housekeeping = Housekeeping(context.twin, clock)
        self._accused: list[str] = []
        self._is_cut_off = False
        self._meter: AgeMeter | None = None
        self._progress = StreamProgress(Counts())
        context.patience.on_change = self._tell

    @property
    def counts(self) -> Counts:
        """What was done so far."""
        return self._progress.counts

    def read_changes(self, deliveries: Sequence[Delivery]) -> Iterable[Round]:
        """Tell changes, markers and garbage apart; one round per batch of deliveries."""
        changes = [each.message for each in deliveries if isinstance(each.message, Change)]
        markers = {each.queue: each.message for each in deliveries if isinstance(each.message, Marker)}
        self._bury_malformed(deliveries)
        return [Round(deliveries, changes, markers, condemned=self._count_attempts(deliveries))]

    def fetch(self, rounds: Sequence[Round]) -> Iterable[Round]:
        """Read the documents' current state, then which generations exist."""
        for each in rounds:
            self._refuse_the_future(each.markers.values())
            if each.changes:
                with each.stopwatch.timing("fetch"):
                    each.batch = self._applier.fetch(each.changes)
                _condemn(each)
        return rounds

    def clean(self, rounds: Sequence[Round]) -> Iterable[Round]:
        """Validate and clean."""
        return self._each(rounds, "clean", self._applier.clean)

    def chunk(self, rounds: Sequence[Round]) -> Iterable[Round]:
        """Cut."""
        return self._each(rounds, "chunk", self._applier.chunk)

    def plan(self, rounds: Sequence[Round]) -> Iterable[Round]:
        """Compare with what each generation holds."""
        return self._each(rounds, "plan", self._applier.plan)

    def embed(self, rounds: Sequence[Round]) -> Iterable[Round]:
        """Embed new text and store it slice by slice; a document that gets on is not what ends the stream."""
        for each in rounds:
            if each.batch is not None and not each.batch.is_forced:  # that one begins anew each time
                each.batch.on_stored = self.acquit
        return self._each(rounds, "embed", self._applier.embed)

    def write(self, rounds: Sequence[Round]) -> None:
        """Finish the write, store the markers' positions, and only then acknowledge."""
        for each in rounds:
            with each.stopwatch.timing("write"):
                self._write(each)
            self._intake.settle(each.deliveries)
            fault_point(FaultPoint.ACKNOWLEDGED)
            self._tracer.applied(each.traced, each.stopwatch.steps)
        self._housekeeping.do()
        self._move(rounds)
        self._tell()

    def heed_broker(self, unreachable: str) -> None:
        """Say so when the queues cannot be reached, with the reason, and when they can again."""
        if self._is_cut_off != bool(unreachable):
            self._is_cut_off = bool(unreachable)
            log.warning(f"waiting: {unreachable}" if unreachable else f"{BrokerUnavailable.server} is back")
            self._tell()

    def acquit(self) -> None:
        """Forget the attempt in hand: an end of the stream now would not be the document's fault."""
        # While MongoDB is down an innocent attempt stays counted; more than one stop has to meet that.
        with suppress(SourceUnavailable):
            self._context.twin.meta.clear_attempts(self._accused)
            self._accused = []

    def _write(self, each: Round) -> None:
        if each.batch is not None:
            self._progress.counts.add(self._applier.write(each.batch))
        fault_point(FaultPoint.ALL_WRITTEN)
        meta = self._context.twin.meta
        if each.markers:
            self._context.patience(partial(meta.store_markers, each.markers, self._ages_of(each)))
        if suspects := suspect_keys(each.deliveries):
            self._context.patience(partial(meta.clear_attempts, suspects))
            self._accused = []
        fault_point(FaultPoint.MARKERS_STORED)

    def _ages_of(self, each: Round) -> AgeHistogram:
        """Return the ages that a round's markers tell of now that it is written."""
        twin, patience = self._context.twin, self._context.patience
        if self._meter is None:
            self._meter = AgeMeter(patience(twin.meta.applied_until), twin.settings.marker_interval_s)
        return self._meter.measure(each.passed, patience(twin.meta.clock.now))

    def _each(self, rounds: Sequence[Round], name: str, step: Callable[[Batch], Batch]) -> Iterable[Round]:
        for each in rounds:
            if each.batch is not None:
                with each.stopwatch.timing(name):
                    each.batch = step(each.batch)
        return rounds

    def _refuse_the_future(self, markers: Collection[Marker]) -> None:
        """A marker that this cluster's clock has not reached would make a watermark of things to come."""
        if markers:
            newest = max(marker.position for marker in markers)
            now = self._context.patience(self._context.twin.source.now)
            if now < newest:
                raise ClusterTimeWentBack(stored=newest, now=now)

    def _bury_malformed(self, deliveries: Sequence[Delivery]) -> None:
        letters = [
            DeadLetter(stage="reading", reason=str(each.message), at=datetime.now(UTC), body=each.body)
            for each in deliveries
            if isinstance(each.message, MalformedMessage)
        ]
        if letters:
            self._context.patience(partial(self._context.dead_letters.publish_dead, letters))
            self._progress.counts.rejected += len(letters)

    def _count_attempts(self, deliveries: Sequence[Delivery]) -> set[str]:
        """Count an attempt at each suspect before it is touched: a crash leaves no time for it."""
        count = self._context.twin.meta.count_attempt
        if suspects := suspect_keys(deliveries):
            self._accused = suspects
        attempts = {key: self._context.patience(partial(count, key)) for key in suspects}
        return {key for key, number in attempts.items() if number > CRASH_LIMIT}

    def _move(self, rounds: Sequence[Round]) -> None:
        positions = [marker.position for each in rounds for marker in each.markers.values()]
        embedded = sum(each.batch.counts.chunks_embedded for each in rounds if each.batch is not None)
        self._progress = replace(
            self._progress,
            chunks_per_s=self._rate.add(embedded),
            watermark=max(positions, default=self._progress.watermark),
            dead_letters=self._progress.counts.rejected,
        )

    def _tell(self) -> None:
        waiting_for = self._context.patience.waiting_for
        if not waiting_for and self._is_cut_off:
            waiting_for = BrokerUnavailable.server
        counts = replace(self._progress.counts)
        self._report(replace(self._progress, counts=counts, waiting_for=waiting_for))


def suspect_keys(deliveries: Sequence[Delivery]) -> list[str]:
    """Return the documents that may have ended the stream before."""
    return [each.message.key for each in deliveries if is_suspect(each) and isinstance(each.message, Change)]


def _condemn(each: Round) -> None:
    for item in each.batch.items if each.batch else []:
        if item.key in each.condemned:
            item.rejected = DocumentRejected(
                stage="processing",
                key=item.key,
                reason="the stream ended each time that it was in hand; replay it once the cause is mended",
            )
