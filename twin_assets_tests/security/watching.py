"""Sees what a piece of code touches: files, sockets, programs, modules. Python's own audit events say so.

The code runs in a process of its own: an audit hook cannot be taken back, and the tests' own process takes
none (`conftest.py` says why).
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing import get_context
from typing import Any

LIMIT_S = 120.0
TOUCHING = (
    "open",
    "import",
    "exec",
    "compile",
    "os.",
    "socket.",
    "subprocess.",
    "pickle.",
    "urllib.",
    "ctypes.",
)
_seen: list[str] | None = None  # while somebody watches


@contextmanager
def watching() -> Iterator[Callable[..., tuple[Any, list[str]]]]:
    """Give a function that calls another in that process, and returns its result and what it touched.

    What that function loads once, whoever asks first, is seen at the first call. All must pickle.
    """
    with ProcessPoolExecutor(1, mp_context=get_context("spawn"), initializer=_watch_process) as process:
        yield lambda work, *arguments: process.submit(_watch, work, *arguments).result(LIMIT_S)


def _watch_process() -> None:
    sys.addaudithook(_note)


def _note(event: str, arguments: tuple[Any, ...]) -> None:
    if _seen is not None and event.startswith(TOUCHING):
        _seen.append(f"{event} {arguments!r:.200}")


def _watch(work: Callable[..., Any], *arguments: Any) -> tuple[Any, list[str]]:
    global _seen  # noqa: PLW0603 - the hook of this process has no other place to look
    seen = _seen = []
    try:
        return work(*arguments), seen
    finally:
        _seen = None
