"""Waiting for a condition, never for a time."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

import psutil

T = TypeVar("T")
POLL_S = 0.02


def wait_until(condition: Callable[[], T], *, what: str, limit_s: float = 30.0, poll_s: float = POLL_S) -> T:
    """Return the condition's first true value; fail with `what` and its last value at the limit."""
    end = time.monotonic() + limit_s
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(f"{what}: not within {limit_s} s; last seen: {value!r}")
        time.sleep(poll_s)


def is_gone(process: psutil.Process) -> bool:
    """Say whether a process has ended, collected by its parent or not: in a container nobody may."""
    try:
        return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True
