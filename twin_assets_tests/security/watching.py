"""Sees what a piece of code touches: files, sockets, programs, modules. Python's own audit events say so."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from threading import get_ident
from typing import Any

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
_watched: dict[int, list[str]] = {}  # by thread


def _note(event: str, arguments: tuple[Any, ...]) -> None:
    if not _watched:
        return  # nobody watches; at the interpreter's end the dictionary itself is gone
    seen = _watched.get(get_ident())
    if seen is not None and event.startswith(TOUCHING):
        seen.append(f"{event} {arguments!r:.200}")


sys.addaudithook(_note)  # for good: a hook cannot be taken back, so it looks only where it is asked to


@contextmanager
def touching() -> Iterator[list[str]]:
    """Collect what the code inside touches, on this thread."""
    seen: list[str] = []
    _watched[get_ident()] = seen
    try:
        yield seen
    finally:
        del _watched[get_ident()]
