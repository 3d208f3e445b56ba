"""How far behind the twin is, and waiting for it to catch up."""

from __future__ import annotations

import time
from collections.abc import Callable

from twin_assets.models.change import seconds_of
from twin_assets.operations.twin import Twin

POLL_S = 0.1


def watermark_lag_s(twin: Twin) -> float | None:
    """Return the seconds between MongoDB's time and the watermark; None before the first markers."""
    watermark = twin.meta.watermark(twin.settings.rabbitmq_queues)
    if watermark is None:
        return None
    return float(max(0, seconds_of(twin.source.now()) - seconds_of(watermark)))


def await_watermark(
    twin: Twin,
    revision: int,
    *,
    until_s: float,
    moving_s: float = 0,
    clock: Callable[[], float] = time.monotonic,
    pause: Callable[[float], None] = time.sleep,
) -> bool:
    """Wait until every change up to `revision` has been applied; False when the clock reached `until_s`.

    And, with `moving_s`, when the watermark has stood still for so long: a stream at work is waited for.
    """
    queues = twin.settings.rabbitmq_queues
    before = twin.meta.watermark(queues)
    moved_s = clock()
    while True:
        watermark = twin.meta.watermark(queues)
        if watermark is not None and watermark >= revision:
            return True
        now_s = clock()
        if watermark != before:
            before, moved_s = watermark, now_s
        if now_s >= until_s and now_s - moved_s >= moving_s:
            return False
        pause(POLL_S)
