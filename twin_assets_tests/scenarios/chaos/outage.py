"""What the flows say and do while a server is away."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest

from twin_assets.faults import FaultPoint, arm
from twin_assets.models.kinds import DataType, Snapshot
from twin_assets.operations.rebuild import RebuildReport, rebuild
from twin_assets.operations.twin import Twin
from twin_assets_tests.waiting import wait_until

LIMIT_S = 120.0


@dataclass
class Listener:
    """Hears the reports of one flow: what it waits for now, and how often it said what it waits for."""

    waiting_for: str = ""
    heard: Counter[str] = field(default_factory=Counter)

    def __call__(self, progress: Any) -> None:
        self.waiting_for = progress.waiting_for
        self.heard[progress.waiting_for] += 1

    def await_wait(self, server: str, times: int = 1) -> None:
        """Wait until the flow has said so often that it waits: capture says so at every try."""
        wait_until(lambda: self.heard[server] >= times, what=f"a flow waits for {server}", limit_s=LIMIT_S)

    def hear_anew(self, caplog: pytest.LogCaptureFixture) -> None:
        """Forget what was said of a server that was slow before the fault; it must be back."""
        wait_until(lambda: self.waiting_for == "", what="nothing is waited for", limit_s=LIMIT_S)
        caplog.clear()


@contextmanager
def counted_points() -> Iterator[Counter[FaultPoint]]:
    """Count every fault point that is reached, in all flows of this process."""
    reached: Counter[FaultPoint] = Counter()
    lock = threading.Lock()

    def count(point: FaultPoint) -> None:
        with lock:
            reached[point] += 1

    disarm = arm(count)
    try:
        yield reached
    finally:
        disarm()


@contextmanager
def struck_at(point: FaultPoint, strike: Callable[[], None]) -> Iterator[threading.Event]:
    """Call `strike` the first time that `point` is reached, on whichever thread; gives whether it was."""
    struck, first = threading.Event(), threading.Lock()

    def call(reached: FaultPoint) -> None:
        if reached is point and first.acquire(blocking=False):
            strike()
            struck.set()

    disarm = arm(call)
    try:
        yield struck
    finally:
        disarm()


@contextmanager
def rebuilding(twin: Twin) -> Iterator[Future[RebuildReport]]:
    """Rebuild the vectors of the posts beside everything else."""
    with ThreadPoolExecutor(max_workers=1, thread_name_prefix="rebuild") as pool:
        yield pool.submit(rebuild, twin, Snapshot.VECTOR, DataType.POSTS)


def waits_said(caplog: pytest.LogCaptureFixture) -> int:
    """Count the lines that say that a flow waits for a server."""
    return sum(record.getMessage().startswith("waiting: ") for record in caplog.records)
