"""What a rebuild says in the UI: its progress in the log, its report as metadata. Never any text."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

LOG_INTERVAL_S = 5.0
SAMPLE_IDS = 5


class ProgressLog:
    """Writes the progress of a rebuild, at most one line every few seconds."""

    def __init__(
        self,
        write: Callable[[str], None],
        *,
        interval_s: float = LOG_INTERVAL_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._write = write
        self._interval_s = interval_s
        self._clock = clock
        self._due_s = clock()

    def __call__(self, progress: Any) -> None:
        if self._clock() >= self._due_s:
            self._due_s = self._clock() + self._interval_s
            self._write(str(progress))


def metadata_of(report: Any) -> dict[str, Any]:
    """Return the figures of a rebuild."""
    return {name: value for name, value in asdict(report).items() if isinstance(value, int | float | str)}
