"""Ages of documents when they became searchable, folded into a histogram of bounded size."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

BUCKETS_PER_DOUBLING = 8
# Half a bucket: a percentile is at most this far from the exact one, relative to it. Below 1 ms it is 0.5 ms.
RELATIVE_ERROR = 2 ** (0.5 / BUCKETS_PER_DOUBLING) - 1
LONGEST_MS = 2.0**32  # seven weeks


@dataclass
class AgeHistogram:
    """Counts of ages by buckets that grow by a twelfth or so each, and the worst age exactly; ages in ms.

    Bucket 0 ends at 1 ms, bucket i at 2^(i/8) ms: 257 buckets for everything up to seven weeks.
    """

    counts: Counter[int] = field(default_factory=Counter)
    worst_ms: float = 0.0

    @property
    def samples(self) -> int:
        """How many ages are in it."""
        return self.counts.total()

    def add(self, age_ms: float, times: int = 1) -> None:
        """Count an age; a negative one, which only clocks that differ can make, counts as 0."""
        age_ms = min(max(age_ms, 0.0), LONGEST_MS)
        self.counts[bucket_of(age_ms)] += times
        self.worst_ms = max(self.worst_ms, age_ms)

    def merge(self, other: AgeHistogram) -> None:
        """Take in another histogram."""
        self.counts.update(other.counts)
        self.worst_ms = max(self.worst_ms, other.worst_ms)

    def percentile_ms(self, share: float) -> float | None:
        """Return the least age that at least this share does not exceed (nearest rank), None without any."""
        rank, seen = max(1, math.ceil(share * self.samples)), 0
        for bucket in sorted(self.counts):
            seen += self.counts[bucket]
            if seen >= rank:
                return min(middle_ms(bucket), self.worst_ms)
        return None


@dataclass(frozen=True)
class FreshnessRecord:
    """What our records say at `now`, by MongoDB's clock.

    `published` is the moment up to which every commit is in the queues, `applied` the same by queue for what
    is searchable. `ages` are those of the last hour, recorded since `since`.
    """

    now: datetime
    published: datetime | None
    applied: Mapping[int, datetime]
    ages: AgeHistogram
    since: datetime | None


def bucket_of(age_ms: float) -> int:
    """Return the bucket that an age falls into."""
    return 0 if age_ms < 1 else 1 + math.floor(BUCKETS_PER_DOUBLING * math.log2(age_ms))


def middle_ms(bucket: int) -> float:
    """Return the age that stands for a bucket: as far from either end of it, relatively."""
    return 0.5 if bucket == 0 else float(2 ** ((bucket - 0.5) / BUCKETS_PER_DOUBLING))
