"""Waiting for a server that is down: growing pauses with jitter, ended at once by a stop."""

from __future__ import annotations

import logging
import random
import threading
from collections.abc import Callable
from typing import TypeVar

from twin_assets.errors import ServerUnavailable, TwinError

FIRST_PAUSE_S = 0.2
LONGEST_PAUSE_S = 10.0

T = TypeVar("T")
log = logging.getLogger(__name__)


class Stopped(TwinError):
    """Raised when a stop was asked for while work was in hand; the work is delivered again."""

    def __init__(self) -> None:
        super().__init__("stopped on request")


class Patience:
    """Repeats an idempotent call for as long as a server is down, until `stop` is set.

    A server that is down is never a document's fault, so there is no limit but the stop; `waiting_for`
    tells the world what we wait for.
    """

    def __init__(self, stop: threading.Event, *, seed: int | None = None) -> None:
        self._stop = stop
        self._random = random.Random(seed)  # noqa: S311 # jitter needs no secrecy
        self.waiting_for = ""
        self.on_change: Callable[[], None] = _nobody_listens

    def __call__(self, call: Callable[[], T]) -> T:
        """Return the call's result. Raises Stopped on a stop, and every error but ServerUnavailable."""
        pause_s = FIRST_PAUSE_S
        while True:
            try:
                result = call()
            except ServerUnavailable as error:
                if self.waiting_for != error.server:
                    log.warning("waiting: %s", error)
                    self._wait_for(error.server)
                if self._stop.wait(pause_s * self._random.uniform(0.5, 1.0)):
                    raise Stopped from error
                pause_s = min(LONGEST_PAUSE_S, pause_s * 2)
            else:
                if self.waiting_for:
                    log.warning("%s is back", self.waiting_for)
                    self._wait_for("")
                return result

    def pause(self, seconds: float) -> None:
        """Wait. Raises Stopped as soon as a stop is asked for."""
        if self._stop.wait(seconds):
            raise Stopped

    def check(self) -> None:
        """Raise Stopped once a stop was asked for."""
        if self._stop.is_set():
            raise Stopped

    def _wait_for(self, server: str) -> None:
        self.waiting_for = server
        self.on_change()


def _nobody_listens() -> None:
    """Take the news that we wait, or wait no more."""
