"""Refused documents: marked as such, while their last good version stays."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from qdrant_client import models as q

from twin_assets.models.head import Head
from twin_assets.store import filters, points
from twin_assets.store.fence import Fence
from twin_assets.store.plan import DocumentPlan, Wanted


def quarantine(fence: Fence, plans: Sequence[DocumentPlan]) -> None:
    """Mark refused documents; the last good version moves to this revision with its chunks."""
    good = [(plan.wanted, plan.head) for plan in plans if plan.head is not None and plan.head.source_hash]
    never_good = [plan.wanted for plan in plans if plan.head is None or not plan.head.source_hash]
    good += _insert(fence, never_good)
    for wanted, head in good:
        if not head.settled:
            _delete_what_is_older(fence, wanted, head)
    updates = [update for wanted, _ in good for update in _marks(fence, wanted)]
    fence.store.set_payloads(fence.collection, updates)
    fence.settle([wanted for wanted, head in good if not head.settled])


def _insert(fence: Fence, never_good: Sequence[Wanted]) -> list[tuple[Wanted, Head]]:
    """Write heads where no good version stands; return where a rival wrote one meanwhile."""
    if not never_good:
        return []
    heads = [
        points.quarantine_head(
            fence.generation, wanted.entry, revision=fence.revision, quarantine_hash=wanted.quarantine_hash
        )
        for wanted in never_good
    ]
    no_good_one = [filters.hashes_in([""])]
    fence.store.upsert(fence.collection, heads, revision=fence.revision, over=no_good_one)
    found = fence.store.heads(fence.collection, [wanted.head_id for wanted in never_good])
    stand = [(wanted, found[wanted.key]) for wanted in never_good if wanted.key in found]
    return [(wanted, head) for wanted, head in stand if head.source_hash and head.revision <= fence.revision]


def _marks(fence: Fence, wanted: Wanted) -> list[tuple[dict[str, Any], q.Filter]]:
    reached = filters.revision_at_most(fence.revision)
    entry = filters.entries_in([wanted.entry])
    revision: dict[str, Any] = {"revision": fence.revision}
    mark = revision | {"quarantined": True, "quarantine_hash": wanted.quarantine_hash}
    return [
        (revision, q.Filter(must=[entry, reached], must_not=[filters.HEAD])),
        (mark, q.Filter(must=[filters.ids_in([wanted.head_id]), reached])),
    ]


def _delete_what_is_older(fence: Fence, wanted: Wanted, good: Head) -> None:
    """Finish the clean-up that a crash had cut off behind a version that now stays for a while.

    Only up to that version's own revision: a newer one may have become the last good one since the plan.
    """
    reached = [filters.entries_in([wanted.entry]), filters.revision_at_most(good.revision)]
    others = [filters.HEAD, filters.hashes_in([good.source_hash])]
    fence.store.delete(fence.collection, q.Filter(must=reached, must_not=others))
