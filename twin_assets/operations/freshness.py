"""Freshness: how long a commit takes until it is searchable, measured by every marker that comes through.

A marker tells of the moment `as_of` that all before it is applied; the age then is a sample. Moments that no
marker told of, because capture or stream was away, are filled in: else an outage of half an hour, which
leaves but a few markers, would hardly show in a percentile.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from twin_assets.models.ages import AgeHistogram, FreshnessRecord
from twin_assets.models.change import Marker
from twin_assets.settings import Settings
from twin_assets.source.meta import MetaStore

HOUR = timedelta(hours=1)
# By then a percentile speaks of the hour, and no more of how the twin was started.
JUDGED_AFTER = timedelta(minutes=50)
NEVER = "capture has never run, or the stream never got past its start; start both with `twin dev`"
BEHIND = "capture or stream is behind or down; `twin status` shows both"


class Part(StrEnum):
    """Who can be behind."""

    CAPTURE = "capture"
    STREAM = "stream"


@dataclass(frozen=True)
class Freshness:
    """Ages in seconds; None where nothing is known yet.

    `age_s` is that of the slowest queue now, of which `unpublished_s` is due to capture and the rest to the
    stream. Percentiles and `worst_s` are of the last hour, `samples` how many ages they come from.
    """

    age_s: float | None = None
    unpublished_s: float | None = None
    p50_s: float | None = None
    p95_s: float | None = None
    p99_s: float | None = None
    worst_s: float | None = None
    samples: int = 0
    covers: timedelta = timedelta(0)

    @property
    def slower(self) -> Part:
        """The part that most of the age now is due to."""
        return Part.CAPTURE if 2 * (self.unpublished_s or 0) >= (self.age_s or 0) else Part.STREAM

    def figures(self) -> dict[str, int | float]:
        """Return what is known, by name, for a person or a plot."""
        names = ("age_s", "p50_s", "p95_s", "p99_s", "worst_s")
        known = {name: getattr(self, name) for name in names}
        return {name: value for name, value in known.items() if value is not None} | {"samples": self.samples}

    def is_late(self, limit_s: float) -> bool:
        """Tell if the age now or, once there is an hour to judge, its 95th percentile is above a limit."""
        return self.is_late_now(limit_s) or self.was_late(limit_s)

    def is_late_now(self, limit_s: float) -> bool:
        """Say whether what was committed longer ago than the limit may not be searchable yet."""
        return self.age_s is not None and self.age_s > limit_s

    def was_late(self, limit_s: float) -> bool:
        """Say whether more than 5 % of the last hour, about three minutes, were above the limit."""
        return self.covers >= JUDGED_AFTER and self.p95_s is not None and self.p95_s > limit_s

    def note(self, limit_s: float) -> str:
        """Say who is behind and what to do; nothing where all is well, or nothing known."""
        if self.is_late_now(limit_s):
            return self._blame()
        if self.was_late(limit_s):
            return (
                "caught up now, but more than 5 % of the last hour were later than TWIN_LAG_SLO_S; "
                "the runs of capture and stream, and their plots of age_s, say when and why"
            )
        return ""

    def _blame(self) -> str:
        age_s, unpublished_s = self.age_s or 0.0, self.unpublished_s or 0.0
        if self.slower is Part.CAPTURE:
            return (
                f"capture is behind or down: nothing of the last {unpublished_s:.0f} s is in the queues; "
                "`twin status` shows its run and the servers, and the run's page says what it waits for"
            )
        return (
            f"the stream is behind or down: {age_s - unpublished_s:.0f} s of what capture published wait in "
            "the queues; `twin status` shows its run, and its `chunks_per_s` whether it is just slow"
        )


class AgeMeter:
    """Turns the markers that one replica has applied into ages."""

    def __init__(self, applied: Mapping[int, datetime], interval_s: float) -> None:
        self._applied = dict(applied)
        self._interval = timedelta(seconds=interval_s)

    def measure(self, passed: Iterable[tuple[int, Marker]], now: datetime) -> AgeHistogram:
        """Return the ages that these queues' markers, in their order, tell of at `now`."""
        ages = AgeHistogram()
        for queue, marker in passed:
            if marker.as_of is None:
                continue
            before = self._applied.get(queue, marker.as_of)
            ages.add(_ms(now - marker.as_of))
            for moment in moments_missed(before, marker.as_of, self._interval):
                ages.add(_ms(now - moment))
            self._applied[queue] = max(before, marker.as_of)
        return ages


def read_freshness(meta: MetaStore, settings: Settings) -> Freshness:
    """Return how fresh what is searchable is, and was. Raises SourceUnavailable."""
    interval = timedelta(seconds=settings.marker_interval_s)
    return freshness_of(meta.freshness(), queues=settings.rabbitmq_queues, interval=interval)


def freshness_of(record: FreshnessRecord, *, queues: int, interval: timedelta) -> Freshness:
    """Work out the figures; what is not applied yet counts with the age that it has by now."""
    applied = [record.applied[queue] for queue in range(queues) if queue in record.applied]
    ages = AgeHistogram()
    ages.merge(record.ages)
    for as_of, count in Counter(applied).items():
        for moment in moments_missed(as_of, record.now, interval):
            ages.add(_ms(record.now - moment), count)
    age = max(timedelta(0), record.now - min(applied)) if len(applied) == queues else None
    unpublished = age
    if age is not None and record.published is not None:
        unpublished = min(age, max(timedelta(0), record.now - record.published))
    if age is not None:
        ages.worst_ms = max(ages.worst_ms, _ms(age))
    known = ages.samples > 0
    return Freshness(
        age_s=None if age is None else _seconds(_ms(age)),
        unpublished_s=None if unpublished is None else _seconds(_ms(unpublished)),
        p50_s=_seconds(ages.percentile_ms(0.5)),
        p95_s=_seconds(ages.percentile_ms(0.95)),
        p99_s=_seconds(ages.percentile_ms(0.99)),
        worst_s=_seconds(ages.worst_ms) if known or age is not None else None,
        samples=ages.samples,
        covers=record.now - record.since if record.since else timedelta(0),
    )


def moments_missed(before: datetime, until: datetime, interval: timedelta) -> Iterator[datetime]:
    """Yield the moments between two, an interval apart, that a marker missed; an hour's at most."""
    missed = (min(until - before, HOUR) // interval) - 1
    for number in range(1, missed + 1):
        yield until - number * interval


def _ms(age: timedelta) -> float:
    return age / timedelta(milliseconds=1)


def _seconds(age_ms: float | None) -> float | None:
    return None if age_ms is None else round(age_ms / 1000, 3)
