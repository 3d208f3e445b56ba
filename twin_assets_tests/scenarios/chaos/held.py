"""Holds one thread at a fault point, so that a test can act in between."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from twin_assets.faults import FaultPoint, arm
from twin_assets_tests.waiting import wait_until

HELD_S = 120.0


@dataclass
class Held:
    """Whoever reaches the point first stays there until `release`."""

    point: FaultPoint
    reached: threading.Event = field(default_factory=threading.Event)
    released: threading.Event = field(default_factory=threading.Event)

    def await_reached(self) -> None:
        wait_until(self.reached.is_set, what=f"somebody reaches {self.point.name}", limit_s=HELD_S)

    def release(self) -> None:
        self.released.set()


@contextmanager
def held_at(point: FaultPoint) -> Iterator[Held]:
    """Hold the first thread that reaches `point`; it goes on at the end of the block at the latest."""
    held, first = Held(point), threading.Lock()

    def call(found: FaultPoint) -> None:
        if found is point and first.acquire(blocking=False):
            held.reached.set()
            held.released.wait(HELD_S)

    disarm = arm(call)
    try:
        yield held
    finally:
        held.release()
        disarm()
