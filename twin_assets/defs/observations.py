"""Observations of long runs: after changes only, and seldom enough that a run's event log stays small."""

from __future__ import annotations

import logging
import math
import threading
from collections.abc import Callable, Collection, Hashable, Mapping
from dataclasses import dataclass, field

from dagster import AssetKey, AssetObservation

from twin_assets.defs.storage import reason_of, storage_errors
from twin_assets.errors import TwinError

logger = logging.getLogger(__name__)

Figures = Mapping[str, int | float | str]
Observed = Mapping[AssetKey, Figures]

FRESHNESS = ("age_s", "p50_s", "p95_s", "p99_s", "worst_s", "samples")
# These move all the time: alone they are no reason to write an event.
RESTLESS = frozenset({"lag_s", "chunks_per_s", "changes_per_s", "waiting", *FRESHNESS})
QUIET_S = 10.0
LAST_LOOK_S = 5.0
# A plot of freshness needs points while nothing changes: about a hundred events a day.
PULSE_S = 900.0
# What others did, such as a dead letter that was replayed, is seen although this run did nothing.
IDLE_LOOK_S = 60.0


class Survey(threading.Thread):
    """One look at the assets, in the background: a server that hangs must not hold up a heartbeat."""

    def __init__(self, look: Callable[[], Observed]) -> None:
        super().__init__(name="survey", daemon=True)
        self._look = look
        self.ended = threading.Event()
        self.observed: Observed = {}

    def run(self) -> None:
        try:
            self.observed = self._look()
        except TwinError as error:
            logger.warning("no observation this time: %s", error)
        finally:
            self.ended.set()


@dataclass
class Observer:
    """Writes an AssetObservation for each asset whose counts changed, at most every `interval_s`.

    It looks once the work has been quiet for a moment, so that a burst is observed at its end, and at the
    latest `interval_s` after the first change that was not observed; again, where Dagster took nothing. Where
    assets are `plotted`, it looks now and then though no work was done, and writes these at least every
    `pulse_s`.
    """

    emit: Callable[[AssetObservation], None]
    interval_s: float
    clock: Callable[[], float]
    quiet_s: float = QUIET_S
    plotted: Collection[AssetKey] = ()
    pulse_s: float = PULSE_S
    events: int = 0
    _work: Hashable = None
    _changed_s: float = 0.0
    _unobserved_s: float | None = None
    _looked_s: float | None = None
    _survey: Survey | None = None
    _after_work: bool = False
    _written: dict[AssetKey, Figures] = field(default_factory=dict)
    _written_s: dict[AssetKey, float] = field(default_factory=dict)

    def offer(self, work: Hashable, look: Callable[[], Observed]) -> None:
        """Note how much `work` was done; `look` at the assets when that is due. Returns at once."""
        self._collect()
        self._note(work)
        if self._survey is None and self._is_due():
            self._begin(look)

    def conclude(self, work: Hashable, look: Callable[[], Observed]) -> None:
        """Observe what is not observed yet, whatever the interval. Takes `LAST_LOOK_S` at most."""
        self._note(work)
        if self._unobserved_s is not None and self._survey is None:
            self._begin(look)
        if self._survey is not None:
            self._survey.ended.wait(LAST_LOOK_S)
            self._collect()

    def _note(self, work: Hashable) -> None:
        if work != self._work:
            self._work = work
            self._changed_s = self.clock()
            if self._unobserved_s is None:
                self._unobserved_s = self._changed_s

    def _is_due(self) -> bool:
        now_s = self.clock()
        if self._unobserved_s is None:
            return bool(self.plotted) and now_s - self._rested_s() >= max(self.interval_s, IDLE_LOOK_S)
        if self._looked_s is not None and now_s - self._looked_s < self.interval_s:
            return False
        return now_s - self._changed_s >= self.quiet_s or now_s - self._unobserved_s >= self.interval_s

    def _rested_s(self) -> float:
        return self._changed_s if self._looked_s is None else self._looked_s

    def _begin(self, look: Callable[[], Observed]) -> None:
        self._looked_s = self.clock()
        self._after_work = self._unobserved_s is not None
        self._unobserved_s = None
        self._survey = Survey(look)
        self._survey.start()

    def _collect(self) -> None:
        if self._survey is None or not self._survey.ended.is_set():
            return
        survey, self._survey = self._survey, None
        try:
            for key, figures in survey.observed.items():
                if self._is_news(key, figures):
                    self._write(key, figures)
        except storage_errors() as error:
            logger.warning("no observation this time, Dagster's storage takes none: %s", reason_of(error))
            self._unobserved_s = self.clock()

    def _write(self, key: AssetKey, figures: Figures) -> None:
        self.emit(AssetObservation(key, metadata=dict(figures)))
        self.events += 1
        self._written[key] = figures
        self._written_s[key] = self.clock()

    def _is_news(self, key: AssetKey, figures: Figures) -> bool:
        if _counts(figures) != _counts(self._written.get(key, {})):
            return True
        due = self._after_work or self.clock() - self._written_s.get(key, -math.inf) >= self.pulse_s
        return key in self.plotted and due


def _counts(figures: Figures) -> dict[str, int | float | str]:
    return {name: value for name, value in figures.items() if name not in RESTLESS and value}
