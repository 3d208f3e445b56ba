"""How many things happen per second, lately."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

WINDOW_S = 10.0


class Rate:
    """Counts over the last ten seconds; a burst within the first second counts as one second."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._total = 0
        self._history: deque[tuple[float, int]] = deque([(clock(), 0)])

    def add(self, count: int) -> float:
        """Count some more, and return the rate per second."""
        now = self._clock()
        self._total += count
        self._history.append((now, self._total))
        while len(self._history) > 2 and now - self._history[1][0] > WINDOW_S:
            self._history.popleft()
        since, before = self._history[0]
        return round((self._total - before) / max(now - since, 1.0), 1)
