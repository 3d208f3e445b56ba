"""The signs of life of a run: a tag that it writes every few seconds, and the orders it finds meanwhile."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Self

from dagster import DagsterInstance, DagsterRunNotFoundError, DagsterRunStatus, OpExecutionContext

from twin_assets.defs.names import END_TAG, HEARTBEAT_TAG, PROGRESS_TAG
from twin_assets.defs.storage import reason_of, storage_errors

logger = logging.getLogger(__name__)

CANCELED = (DagsterRunStatus.CANCELING, DagsterRunStatus.CANCELED)


@dataclass(frozen=True)
class Order:
    """Why a run is to end: kindly (the default), as a failure, or as a cancellation."""

    reason: str
    is_failure: bool = False
    is_cancellation: bool = False


class Heartbeat:
    """Beats for one run.

    A storage that does not answer is tried again at the next beat, until no beat got through for `limit_s`:
    by then a sensor may have started another run in this one's place.
    """

    def __init__(
        self,
        instance: DagsterInstance,
        run_id: str,
        *,
        limit_s: float,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.clock = clock
        self._instance = instance
        self._run_id = run_id
        self._limit_s = limit_s
        self._last_s = clock()

    @classmethod
    def of(cls, context: OpExecutionContext, *, limit_s: float) -> Self:
        """Return the heartbeat of the run that `context` belongs to."""
        return cls(context.instance, context.run_id, limit_s=limit_s)

    def beat(self, progress: str = "") -> Order | None:
        """Store the time and a line on the progress; return the order to end, if there is one."""
        try:
            self._write(progress)
            order = self._read_order()
        except DagsterRunNotFoundError:
            return Order("this run was deleted", is_cancellation=True)
        except storage_errors() as error:
            return self._missed(error)
        self._last_s = self.clock()
        return order

    def withdraw(self) -> None:
        """Take back the last beat, so that nobody waits for the next one."""
        lost: tuple[type[Exception], ...] = (DagsterRunNotFoundError, *storage_errors())
        try:
            self._instance.add_run_tags(self._run_id, {HEARTBEAT_TAG: ""})
        except lost as error:
            logger.warning("the last heartbeat stays: %s", reason_of(error))

    def _write(self, progress: str) -> None:
        tags = {HEARTBEAT_TAG: f"{self.clock():.1f}"}
        if progress:
            tags[PROGRESS_TAG] = progress
        self._instance.add_run_tags(self._run_id, tags)

    def _read_order(self) -> Order | None:
        run = self._instance.get_run_by_id(self._run_id)
        if run is None:
            return Order("this run was deleted", is_cancellation=True)
        if run.status in CANCELED:
            return Order("this run was canceled from outside", is_cancellation=True)
        if run.status is DagsterRunStatus.FAILURE:
            return Order("this run was marked as failed from outside", is_failure=True)
        return Order(run.tags[END_TAG]) if END_TAG in run.tags else None

    def _missed(self, error: Exception) -> Order | None:
        silent_s = self.clock() - self._last_s
        logger.warning(
            "no heartbeat for %.0f s, Dagster's storage does not answer: %s", silent_s, reason_of(error)
        )
        if silent_s <= self._limit_s:
            return None
        kind = type(error.__cause__ or error).__name__
        reason = f"Dagster's storage took no heartbeat for {silent_s:.0f} s: {kind}"
        return Order(reason, is_failure=True)
