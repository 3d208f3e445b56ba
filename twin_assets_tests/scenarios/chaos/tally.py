"""What a fault scenario counts: one row of the table that `make chaos` prints."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field

from twin_assets.operations.twin import Twin
from twin_assets_tests.scenarios.chaos.verdict import Verdict, judge

ROW = "chaos"
COLLECTIONS = ("posts", "articles", "repositories")


@dataclass
class Row:
    """One scenario. `recovery_s`: the longest time from a fault until everything was in step again."""

    scenario: str
    faults: int = 0
    changes: int = 0
    lost: int = 0
    duplicated: int = 0
    stale: int = 0
    resurrected: int = 0
    recovery_s: float = 0.0

    def as_dict(self) -> dict[str, object]:
        return asdict(self)


@dataclass
class Tally:
    """Counts the faults of one scenario and judges its end."""

    twin: Twin
    row: Row
    in_step: Callable[[], None]
    is_settled: bool = False
    extra_changes: int = 0
    _failed_at: float | None = None
    _began: int = field(default=0)

    def __post_init__(self) -> None:
        self._began = self._writes()

    def fault(self, count: int = 1) -> None:
        """Note that a fault was injected, now."""
        self.row.faults += count
        self._failed_at = time.monotonic()

    def recover(self, wait: Callable[[], None] | None = None) -> None:
        """Wait until everything is in step, and note how long that took since the last fault."""
        (wait or self.in_step)()
        if self._failed_at is not None:
            self.row.recovery_s = max(self.row.recovery_s, round(time.monotonic() - self._failed_at, 1))
            self._failed_at = None

    def settle(self, wait: Callable[[], None] | None = None) -> None:
        """Wait until everything is in step, then compare every generation with MongoDB."""
        self.recover(wait)
        verdict: Verdict = judge(self.twin)
        self.row.changes = self._writes() - self._began + self.extra_changes
        for kind in ("lost", "duplicated", "stale", "resurrected"):
            setattr(self.row, kind, getattr(self.row, kind) + len(getattr(verdict, kind)))
        self.is_settled = True
        assert verdict.is_clean, verdict
        assert self.row.faults > 0, "a scenario of this suite injects a fault"

    def _writes(self) -> int:
        """Count the writes to the three collections in MongoDB's own log of operations."""
        database = self.twin.settings.mongodb_database
        names = [f"{database}.{name}" for name in COLLECTIONS]
        oplog = self.twin.source.client["local"]["oplog.rs"]
        alone = {"ns": {"$in": names}, "op": {"$in": ["i", "u", "d"]}}
        together = [
            {"$match": {"op": "c", "o.applyOps.ns": {"$in": names}}},
            {"$unwind": "$o.applyOps"},
            {"$match": {"o.applyOps.ns": {"$in": names}}},
            {"$count": "writes"},
        ]
        return oplog.count_documents(alone) + sum(found["writes"] for found in oplog.aggregate(together))
