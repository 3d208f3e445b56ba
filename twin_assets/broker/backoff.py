"""Pauses between attempts: growing, bounded, and spread so that many clients do not come back at once."""

from __future__ import annotations

import random
from collections.abc import Iterator
from itertools import count

FIRST_PAUSE_S = 0.1
LONGEST_PAUSE_S = 10.0
DOUBLINGS = 10


def growing_pauses(longest_s: float = LONGEST_PAUSE_S) -> Iterator[float]:
    """Yield seconds for ever, each between half and all of a bound that doubles up to `longest_s`."""
    for attempt in count():
        bound = min(longest_s, FIRST_PAUSE_S * 2 ** min(attempt, DOUBLINGS))
        yield bound * random.uniform(0.5, 1.0)  # noqa: S311 - guards nothing
