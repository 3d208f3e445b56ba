"""The few conditions that every write and read is made of."""

from __future__ import annotations

from collections.abc import Collection

from qdrant_client import models as q

HEAD = q.FieldCondition(key="head", match=q.MatchValue(value=True))
DELETED = q.FieldCondition(key="deleted", match=q.MatchValue(value=True))
SETTLED = q.FieldCondition(key="settled", match=q.MatchValue(value=True))


# Qdrant reads a limit as a float64 that may be off by its last bit, a quarter here until 2038, and cuts off
# the fraction: of a limit that is a whole number, every fourth then means the number below. Half way
# between two revisions there is room for that.
HALF = 0.5


def revision_at_most(revision: int) -> q.FieldCondition:
    """Match what is not newer: the fence of every write."""
    return q.FieldCondition(key="revision", range=q.Range(lte=revision + HALF))


def revision_below(revision: int) -> q.FieldCondition:
    """Match what is older."""
    return q.FieldCondition(key="revision", range=q.Range(lte=revision - HALF))


def revision_above(revision: int) -> q.FieldCondition:
    """Match what is newer."""
    return q.FieldCondition(key="revision", range=q.Range(gt=revision + HALF))


def revision_is(revision: int) -> q.FieldCondition:
    """Match what one read wrote."""
    return q.FieldCondition(key="revision", match=q.MatchValue(value=revision))


def entries_in(entries: Collection[str]) -> q.FieldCondition:
    """Match all points, heads and chunks, of some documents."""
    return q.FieldCondition(key="entry", match=q.MatchAny(any=list(entries)))


def hashes_in(hashes: Collection[str]) -> q.FieldCondition:
    """Match points made of one of these source versions."""
    return q.FieldCondition(key="source_hash", match=q.MatchAny(any=list(hashes)))


def ids_in(ids: Collection[str]) -> q.HasIdCondition:
    """Match points by id."""
    return q.HasIdCondition(has_id=list(ids))


def written_by(author_id: str) -> q.Filter:
    """Match the points of one author, who is the owner of a repository."""
    author = q.MatchValue(value=author_id)
    return q.Filter(should=[q.FieldCondition(key=key, match=author) for key in ("author_id", "owner_id")])
