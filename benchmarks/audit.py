"""What an audit costs as a collection grows: `python -m benchmarks.audit --sizes 1000 10000 100000`.

Short posts of two chunks are written straight into MongoDB and Qdrant, as the stream would have; embedding
is no part of it. In full without texts and vectors, in full with them, and what the hourly audit does: 100
changes and its slice. All figures are of one run; prints a table and keeps it.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from benchmarks.filled import POSTS, live_posts, watched
from benchmarks.growth import Row, measure_growth
from twin_assets.models.audit_state import AuditState
from twin_assets.models.generation import Generation
from twin_assets.models.kinds import Snapshot
from twin_assets.operations.audit import EVERYTHING, AuditReport, audit
from twin_assets.operations.since_last import audit_since_last
from twin_assets.operations.twin import Twin

CHANGED = 100
SINCE_LAST = "changes and a slice"


def main() -> None:
    measure_growth("benchmarks.audit", __doc__, ("collection", "compared"), measure)


def measure(twin: Twin, size: int) -> Iterator[Row]:
    for snapshot in (Snapshot.CLEANED, Snapshot.VECTOR):
        generation = live_posts(twin, snapshot)
        for kind, with_vectors in (("fields", False), ("texts and vectors", True)):
            with watched() as watch:
                report = audit(twin, generation, with_vectors=with_vectors)
            _require_clean(report, size)
            yield Row(size, (generation.alias, kind), watch)
        _touch_some(twin, generation)
        with watched() as watch:
            report = audit_since_last(twin, generation)
        _require_clean(report, size)
        if report.scope == EVERYTHING:
            raise AssertionError(report.scope)
        yield Row(size, (generation.alias, SINCE_LAST), watch)


def _touch_some(twin: Twin, generation: Generation) -> None:
    """Say that the last audit was an hour ago, and have some documents changed since."""
    an_hour_ago = datetime.now(UTC) - timedelta(hours=1)
    state = AuditState(
        collection=generation.collection,
        revision=twin.source.now(),
        sliced_at=an_hour_ago,
        cycle_began_at=an_hour_ago,
        covered_at=an_hour_ago,
    )
    twin.audits.save(state)
    database = twin.source.client[twin.settings.mongodb_database]
    for number in range(CHANGED):
        database[POSTS.value].update_one({"_id": number}, {"$set": {"seen": time.time()}})


def _require_clean(report: AuditReport, size: int) -> None:
    if report.differences or report.source != size:
        raise AssertionError(f"{report.source} documents, {report.differences}")


if __name__ == "__main__":
    main()
