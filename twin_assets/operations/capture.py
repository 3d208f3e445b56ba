"""MongoDB to RabbitMQ: which documents changed. One at a time; supervised from outside.

At-least-once, in order per document: a position is saved only after the broker confirmed all before it. What
cannot be resumed is published anew as a whole; nothing is skipped silently.
"""

from __future__ import annotations

import logging
import random
import threading
import time
from collections.abc import Callable, Collection, Iterable
from contextlib import suppress
from typing import TYPE_CHECKING

from twin_assets.errors import (
    ChangesNotRecorded,
    ClusterTimeWentBack,
    PositionLost,
    ServerUnavailable,
    StoreUnavailable,
)
from twin_assets.faults import FaultPoint, fault_point
from twin_assets.models.change import Change, DeadLetter, seconds_of
from twin_assets.models.kinds import DataType
from twin_assets.operations.bookmark import Bookmark
from twin_assets.operations.capture_progress import CaptureMeter, CaptureProgress
from twin_assets.operations.patience import FIRST_PAUSE_S, LONGEST_PAUSE_S, Stopped
from twin_assets.operations.republish import Republisher
from twin_assets.operations.tracing import NO_TRACES, CaptureTracer
from twin_assets.source.changes import ChangeBatch, ChangeStream, Position
from twin_assets.source.watch import watch

if TYPE_CHECKING:
    from twin_assets.operations.twin import Twin

FRUITLESS_RECOVERIES = 2

log = logging.getLogger(__name__)


def run_capture(
    twin: Twin,
    *,
    stop: threading.Event,
    report: Callable[[CaptureProgress], None],
    tracer: CaptureTracer = NO_TRACES,
    clock: Callable[[], float] = time.monotonic,
) -> None:
    """Publish changes until `stop` is set; then finish the batch in hand and save the position.

    Waits for servers that are down for as long as it takes. Raises PositionLost where the oplog is too small
    for a snapshot, ClusterTimeWentBack where MongoDB is older than the position, ConfigurationError. `report`
    is called after every batch, several times a second.
    """
    _Capture(twin, stop, CaptureMeter(report, clock), tracer, clock).run()


class _Capture:
    def __init__(
        self,
        twin: Twin,
        stop: threading.Event,
        meter: CaptureMeter,
        tracer: CaptureTracer,
        clock: Callable[[], float],
    ) -> None:
        self._twin = twin
        self._tracer = tracer
        self._stop = stop
        self._meter = meter
        self._clock = clock
        self._bookmark = Bookmark(twin, clock)
        self._republisher = Republisher(twin, stop=stop, published=meter.count)
        self._random = random.Random()  # noqa: S311 # jitter needs no secrecy
        self._pause_s = FIRST_PAUSE_S
        self._is_lost = False
        self._fruitless = 0
        self._recheck: tuple[frozenset[DataType], int] | None = None
        self._looked_at = clock()

    def run(self) -> None:
        with suppress(Stopped):
            while not self._stop.is_set():
                try:
                    self._follow()
                except PositionLost as error:
                    self._lose(error)
                except ChangesNotRecorded:
                    # What came since was told to nobody: once it is, everything has to be published.
                    self._twin.meta.clear_position()
                    raise
                except ServerUnavailable as error:
                    self._wait(error)

    def _follow(self) -> None:
        position = self._prepare()
        self._bookmark.start(position)
        with self._watch(position) as stream:
            while not self._stop.is_set():
                self._take(stream.next_batch(self._bookmark.wait_s()))
                self._look_over()
        self._bookmark.save()
        self._bookmark.mark()

    def _watch(self, position: Position) -> ChangeStream:
        return watch(self._twin.source.client, self._twin.settings.mongodb_database, position)

    def _prepare(self) -> Position:
        """Return where to watch from, after publishing everything where no stored position can be trusted."""
        meta, publisher = self._twin.meta, self._twin.publisher
        meta.check_queues(self._twin.settings.rabbitmq_queues)
        position = meta.load_position()
        self._check_time(position)
        if publisher.queues_missing():
            # Before they exist again: a crash in between must not make them look complete.
            meta.clear_position()
            publisher.declare_missing()
            self._is_lost = self._is_lost or position is not None
            position = None
        if position is None or self._is_lost:
            position = self._publish_everything()
        self._recheck = meta.load_recheck()
        self._meter.update(snapshot_done=True)
        return position

    def _check_time(self, position: Position | None) -> None:
        if position is not None:
            now = self._twin.source.now()
            if now < position.revision:
                raise ClusterTimeWentBack(stored=position.revision, now=now)

    def _publish_everything(self) -> Position:
        self._meter.update(snapshot_done=False)
        position = Position(None, self._twin.source.now())
        # Before anything is published or saved: it may be that nothing can be watched at all.
        with suppress(PositionLost), self._watch(position):
            pass
        self._republish(list(DataType), position.revision)
        fault_point(FaultPoint.SNAPSHOT_PUBLISHED)
        self._bookmark.start(position)
        self._bookmark.mark()
        if self._is_lost:
            self._is_lost = False
            self._fruitless += 1
            self._meter.update(recovered=self._meter.progress.recovered + 1)
        return position

    def _republish(self, types: Collection[DataType], revision: int) -> None:
        """Publish whole types, and remember to look over them again.

        The stream may be about to write a document that it read before the gap and that was deleted in it.
        Once the watermark has passed `revision`, such a write is over, and its document is found.
        """
        is_held = any(generation.type in types for generation in self._twin.meta.generations())
        self._republisher.publish_all(types, revision)
        if is_held:
            self._twin.meta.save_recheck(types, revision)

    def _take(self, batch: ChangeBatch) -> None:
        changes, letters = _last_of_each(batch.changes), _distinct(batch.unsupported)
        with self._tracer.sending(changes, batch.commit_times) as headers:
            self._twin.publisher.publish(changes, headers)
        self._twin.publisher.publish_dead(letters)
        fault_point(FaultPoint.CHANGES_PUBLISHED)
        self._meter.count(len(changes), len(letters))
        if batch.lost:
            self._republish_lost(batch.lost)
        changed = bool(changes or batch.lost)
        self._bookmark.move(batch.position, changed=changed, drained=batch.drained)
        if self._bookmark.has_progress:
            self._fruitless = 0
        self._pause_s = FIRST_PAUSE_S
        lag_s = 0.0 if batch.drained else self._seconds_behind()
        self._meter.update(revision=batch.position.revision, lag_s=lag_s, waiting_for="")

    def _republish_lost(self, types: Collection[DataType]) -> None:
        log.warning("%s dropped or renamed: publishing all of it again", ", ".join(sorted(types)))
        self._republish(types, self._twin.source.now())
        self._recheck = self._twin.meta.load_recheck()
        self._meter.update(recovered=self._meter.progress.recovered + 1)

    def _look_over(self) -> None:
        """Publish once more what vanished, when the watermark has passed the revision asked for."""
        now = self._clock()
        if self._recheck is None or now - self._looked_at < self._twin.settings.marker_interval_s:
            return
        self._looked_at = now
        types, revision = self._recheck
        watermark = self._twin.meta.watermark(self._twin.settings.rabbitmq_queues)
        if watermark is None or watermark < revision:
            return
        # Qdrant may be down while the queues are up: capturing goes on, and this comes again.
        with suppress(StoreUnavailable):
            self._republisher.publish_vanished(types, self._twin.source.now())
            self._twin.meta.clear_recheck()
            self._recheck = None

    def _lose(self, error: PositionLost) -> None:
        if self._fruitless >= FRUITLESS_RECOVERIES:
            raise PositionLost(
                "the change stream was lost again while everything was published anew, "
                f"{FRUITLESS_RECOVERIES} times: the oplog holds less time than that takes; enlarge it, by "
                "db.adminCommand({replSetResizeOplog: 1, size: 16000}), or on DocumentDB by "
                "change_stream_log_retention_duration and TWIN_MONGODB_LOG_HOURS, and start capture again"
            ) from error
        log.warning("%s", error)
        self._is_lost = True

    def _wait(self, error: ServerUnavailable) -> None:
        if self._meter.progress.waiting_for != error.server:
            log.warning("waiting: %s", error)
        self._meter.update(waiting_for=error.server, lag_s=self._seconds_behind())
        self._stop.wait(self._pause_s * self._random.uniform(0.5, 1.0))
        self._pause_s = min(LONGEST_PAUSE_S, self._pause_s * 2)

    def _seconds_behind(self) -> float:
        revision = self._bookmark.position.revision
        return round(max(0.0, time.time() - seconds_of(revision)), 1) if revision else 0.0


def _last_of_each(changes: Iterable[Change]) -> list[Change]:
    """Keep the last change of each document, in the order of commits."""
    latest: dict[str, Change] = {}
    for change in changes:
        latest.pop(change.key, None)
        latest[change.key] = change
    return list(latest.values())


def _distinct(letters: Iterable[DeadLetter]) -> list[DeadLetter]:
    return list({(letter.type, letter.reason): letter for letter in letters}.values())
