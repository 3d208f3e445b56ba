"""Supervision of a long-running flow inside a Dagster run: it beats, watches, reports and stops it in time.

The flow works in a thread of its own; the op's main thread waits on an Event that the flow sets when it
ends, and never on `join`, because an interrupted join marks a live thread as ended on Python 3.11.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Collection, Hashable
from dataclasses import dataclass
from functools import partial
from typing import Generic, TypeAlias, TypeVar

from dagster import (
    AssetKey,
    DagsterExecutionInterruptedError,
    DagsterLogManager,
    Failure,
    OpExecutionContext,
)

from twin_assets.defs.heartbeat import Heartbeat, Order
from twin_assets.defs.observations import QUIET_S, Observed, Observer
from twin_assets.defs.storage import reason_of, storage_errors
from twin_assets.settings import Settings

logger = logging.getLogger(__name__)

# More than a thousand observations in one run slow Dagster down.
EVENTS_PER_RUN = 800
# The slice in hand may be sixteen chunks of a large model on a CPU.
STOP_GRACE_S = 60.0

ProgressT = TypeVar("ProgressT")
ProgressT_contra = TypeVar("ProgressT_contra", contravariant=True)


# Works until the event is set, then returns soon; tells its progress as often as it likes.
Flow: TypeAlias = Callable[[threading.Event, Callable[[ProgressT], None]], None]


@dataclass(frozen=True)
class Reporting(Generic[ProgressT_contra]):
    """What a progress says: how much work was done, the assets it shows in, and half a line for the sensor.

    `observe` may ask servers, and is called in a thread of its own. Assets that are `plotted` are observed
    now and then even if nothing was done.
    """

    work: Callable[[ProgressT_contra], Hashable]
    observe: Callable[[ProgressT_contra], Observed]
    describe: Callable[[ProgressT_contra], str]
    plotted: Collection[AssetKey] = ()


class FlowThread(threading.Thread, Generic[ProgressT]):
    """Runs a flow; `ended` is set when it is over, with its exception, if any, in `failure`."""

    def __init__(self, flow: Flow[ProgressT]) -> None:
        super().__init__(name="flow", daemon=True)
        self._flow = flow
        self.stop = threading.Event()
        self.ended = threading.Event()
        self.failure: BaseException | None = None
        self.progress: ProgressT | None = None

    def run(self) -> None:
        try:
            self._flow(self.stop, self._report)
        except BaseException as error:  # noqa: BLE001 - the thread's edge: the main thread raises it again
            self.failure = error
        finally:
            self.ended.set()

    def _report(self, progress: ProgressT) -> None:
        self.progress = progress


def run_supervised(
    context: OpExecutionContext,
    flow: Flow[ProgressT],
    *,
    settings: Settings,
    reporting: Reporting[ProgressT],
    heartbeat: Heartbeat | None = None,
    quiet_s: float = QUIET_S,
    events_per_run: int = EVENTS_PER_RUN,
    stop_grace_s: float = STOP_GRACE_S,
) -> None:
    """Run `flow` until somebody ends the run, or its event log is full; then let it finish its slice.

    Raises what the flow raised, and Failure where the flow ended unasked, was marked as failed from outside,
    could not beat for longer than the limit, or does not stop within `stop_grace_s`.
    """
    beats = heartbeat or Heartbeat.of(context, limit_s=settings.heartbeat_limit_s)
    observer = Observer(
        context.log_event,
        settings.observation_interval_s,
        beats.clock,
        quiet_s=quiet_s,
        plotted=reporting.plotted,
    )
    supervisor = _Supervisor(
        log=context.log,
        thread=FlowThread(flow),
        heartbeat=beats,
        interval_s=settings.heartbeat_interval_s,
        reporting=reporting,
        observer=observer,
    )
    supervisor.supervise(events_per_run=events_per_run, stop_grace_s=stop_grace_s)


@dataclass(frozen=True)
class _Supervisor(Generic[ProgressT]):
    log: DagsterLogManager
    thread: FlowThread[ProgressT]
    heartbeat: Heartbeat
    interval_s: float
    reporting: Reporting[ProgressT]
    observer: Observer

    def supervise(self, *, events_per_run: int, stop_grace_s: float) -> None:
        self._attend()
        try:
            self.thread.start()
            order = self._wait_for_an_end(events_per_run)
        except (KeyboardInterrupt, DagsterExecutionInterruptedError):
            self._wind_down("terminated: the slice in hand is finished first", stop_grace_s)
            self._log_failure()
            raise
        if order is None:
            raise self._failure() or Failure("the flow ended although nobody asked it to")
        stopped = self._wind_down(f"ending: {order.reason}", stop_grace_s)
        self._conclude(order, stopped=stopped, stop_grace_s=stop_grace_s)

    def _wait_for_an_end(self, events_per_run: int) -> Order | None:
        """Return why the flow is to be stopped, or None when it has ended by itself."""
        while not self.thread.ended.wait(self.interval_s):
            order = self._attend()
            if order is not None:
                return order
            if self.observer.events >= events_per_run:
                return Order(reason=f"{self.observer.events} observations are enough for one run")
        return None

    def _attend(self, *, last: bool = False) -> Order | None:
        progress = self.thread.progress
        if progress is None:
            return self.heartbeat.beat()
        observe = self.observer.conclude if last else self.observer.offer
        observe(self.reporting.work(progress), partial(self.reporting.observe, progress))
        return self.heartbeat.beat(self.reporting.describe(progress))

    def _wind_down(self, why: str, stop_grace_s: float) -> bool:
        """Stop the flow and beat on until it has ended; return False where it did not in time."""
        self.thread.stop.set()
        self._tell(self.log.info, why)
        deadline = self.heartbeat.clock() + stop_grace_s
        while not self.thread.ended.wait(self.interval_s):
            self.heartbeat.beat()
            if self.heartbeat.clock() >= deadline:
                self._tell(
                    self.log.error, f"the flow did not stop within {stop_grace_s:g} s and is left behind"
                )
                return False
        self._attend(last=True)
        return True

    def _conclude(self, order: Order, *, stopped: bool, stop_grace_s: float) -> None:
        if order.is_cancellation:
            self._log_failure()
            raise DagsterExecutionInterruptedError
        failure = self._failure()
        if failure is not None:
            raise failure
        if order.is_failure:
            raise Failure(order.reason)
        if not stopped:
            raise Failure(f"the flow did not stop within {stop_grace_s:g} s")

    def _failure(self) -> Exception | None:
        """Return what the flow raised; a panic of Bytewax is no Exception, and would end the process."""
        failure = self.thread.failure
        if failure is None or isinstance(failure, Exception):
            return failure
        wrapped = Failure(f"the flow broke down: {failure!r}")
        wrapped.__cause__ = failure
        return wrapped

    def _log_failure(self) -> None:
        if self.thread.failure is not None:
            self._tell(self.log.error, f"while it was stopped, the flow failed: {self.thread.failure}")

    def _tell(self, log: Callable[[str], None], message: str) -> None:
        """Write into the run's log; a run whose log takes nothing ends in good order all the same."""
        try:
            log(message)
        except storage_errors() as error:
            logger.warning("%s (the run's log does not take it: %s)", message, reason_of(error))
