"""A lock that the kernel drops with its holder, so that `kill -9` leaves nothing to clear away."""

from __future__ import annotations

import fcntl
import os
import time
from pathlib import Path
from types import TracebackType
from typing import Self

from twin_assets.errors import StackError

POLL_S = 0.05


class FileLock:
    """Held by one process at a time; the file names its holder's pid."""

    def __init__(self, path: Path, *, activity: str) -> None:
        self._path = path
        self._activity = activity
        self._descriptor: int | None = None

    def acquire(self, *, patience_s: float = 0.0) -> None:
        """Take the lock. Raises StackError where another process holds it for longer than that."""
        if self._descriptor is not None:
            return
        self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600)
        deadline = time.monotonic() + patience_s
        while not _is_taken(descriptor):
            if time.monotonic() >= deadline:
                os.close(descriptor)
                raise StackError(f"{self._activity} (pid {self._holder()}); wait for it or end it")
            time.sleep(POLL_S)
        os.ftruncate(descriptor, 0)
        os.write(descriptor, f"{os.getpid()}\n".encode())
        self._descriptor = descriptor

    def release(self) -> None:
        """Give the lock back; harmless where it is not held."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def _holder(self) -> str:
        return self._path.read_text().strip() or "unknown"

    def __enter__(self) -> Self:
        self.acquire()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()


def _is_taken(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True
