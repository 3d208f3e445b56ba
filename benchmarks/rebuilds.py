"""What a rebuild and a rollback cost as a collection grows: `python -m benchmarks.rebuilds`.

Short posts of two chunks are written straight into MongoDB and Qdrant, as the stream would have; embedding
is by hashes, so that what is left is everything but a model. All figures are of one run; prints a table and
keeps it.
"""

from __future__ import annotations

from collections.abc import Iterator

from benchmarks.filled import POSTS, watched
from benchmarks.growth import Row, measure_growth
from twin_assets.models.kinds import Snapshot
from twin_assets.operations.generations import roll_back
from twin_assets.operations.rebuild import rebuild
from twin_assets.operations.twin import Twin


def main() -> None:
    measure_growth("benchmarks.rebuilds", __doc__, ("what",), measure)


def measure(twin: Twin, size: int) -> Iterator[Row]:
    """Rebuild the cleaned snapshot, then the vectors with and without reuse, and go back at once."""
    with watched() as watch:
        report = rebuild(twin, Snapshot.CLEANED, POSTS)
    _require(report.documents, size)
    yield Row(size, ("cleaned",), watch)
    with watched() as watch:
        report = rebuild(twin, Snapshot.VECTOR, POSTS)
    _require(report.documents, size)
    _require(report.counts.chunks_reused, report.chunks)
    yield Row(size, ("vectors, all reused",), watch)
    with watched() as watch:
        report = rebuild(twin, Snapshot.VECTOR, POSTS, reuse_vectors=False)
    _require(report.counts.chunks_embedded, report.chunks)
    yield Row(size, ("vectors, all embedded",), watch)
    with watched() as watch:
        roll_back(twin, Snapshot.VECTOR, POSTS)
    yield Row(size, ("rollback of the vectors",), watch)


def _require(made: int, expected: int) -> None:
    if made != expected:
        raise AssertionError(f"{made} instead of {expected}")


if __name__ == "__main__":
    main()
