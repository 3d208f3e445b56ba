"""Observations of long runs: only what changed, seldom enough that a run's event log stays small."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from dagster import AssetKey, AssetObservation

Figures = Mapping[str, int | float | str]
Observed = Mapping[AssetKey, Figures]

# These move all the time: alone they are no reason to write an event.
RESTLESS = frozenset({"lag_s", "chunks_per_s"})


@dataclass
class Observer:
    """Writes an AssetObservation per asset where a count changed, at most one per `interval_s`."""

    emit: Callable[[AssetObservation], None]
    interval_s: float
    clock: Callable[[], float]
    events: int = 0
    _written: dict[AssetKey, tuple[float, Figures]] = field(default_factory=dict)

    def offer(self, observed: Observed, *, last: bool = False) -> None:
        """Write what is due; at the `last` offer of a run everything that changed is due."""
        for key, figures in observed.items():
            if self._is_news(key, figures) and (last or self._is_due(key)):
                self._written[key] = (self.clock(), figures)
                self.events += 1
                self.emit(AssetObservation(key, metadata=dict(figures)))

    def _is_news(self, key: AssetKey, figures: Figures) -> bool:
        _, before = self._written.get(key, (0.0, {}))
        return _counts(figures) != _counts(before) and any(_counts(figures).values())

    def _is_due(self, key: AssetKey) -> bool:
        return key not in self._written or self.clock() - self._written[key][0] >= self.interval_s


def _counts(figures: Figures) -> dict[str, int | float | str]:
    return {name: value for name, value in figures.items() if name not in RESTLESS}
