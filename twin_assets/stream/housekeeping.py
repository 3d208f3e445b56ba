"""What a stream does besides: sweeps old tombstones and standbys, and gives unused memory back.

And it looks whether MongoDB still knows the collections: one that came back empty sends no change to tell.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from contextlib import suppress

from twin_assets.errors import ServerUnavailable
from twin_assets.operations.memory import give_back_memory
from twin_assets.operations.recognize import require_known
from twin_assets.operations.retention import sweep
from twin_assets.operations.twin import Twin

SWEEP_INTERVAL_S = 3600.0
TRIM_INTERVAL_S = 30.0
LOOK_INTERVAL_S = 60.0

log = logging.getLogger(__name__)


class Housekeeping:
    """Does what is due, between two batches."""

    def __init__(self, twin: Twin, clock: Callable[[], float] = time.monotonic) -> None:
        self._twin = twin
        self._clock = clock
        self._swept: float | None = None
        self._trimmed = self._looked = clock()

    def do(self) -> None:
        """Sweep at the first call and every hour, give memory back every half minute.

        Raises CollectionsUnknown within a minute.
        """
        now = self._clock()
        if self._swept is None or now - self._swept > SWEEP_INTERVAL_S:
            self._swept = now
            self._sweep()
        if now - self._trimmed > TRIM_INTERVAL_S:
            self._trimmed = now
            give_back_memory()
        if now - self._looked > LOOK_INTERVAL_S:
            self._looked = now
            self._look()

    def _look(self) -> None:
        with suppress(ServerUnavailable):  # the next look will tell
            require_known(self._twin)

    def _sweep(self) -> None:
        try:
            sweep(self._twin)
        except ServerUnavailable as error:
            # It holds up no document, and no server is down for long.
            log.warning("the sweep is put off by %.0f s: %s", SWEEP_INTERVAL_S, error)
