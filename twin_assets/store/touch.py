"""Unchanged documents: nothing is written but that they were seen unchanged at this revision."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from qdrant_client import models as q

from twin_assets.models.head import Head
from twin_assets.store import filters
from twin_assets.store.fence import Fence
from twin_assets.store.plan import DocumentPlan, Wanted, is_applied, plan_anew
from twin_assets.store.points import StoredChunk


def touch(fence: Fence, plans: Sequence[DocumentPlan]) -> list[DocumentPlan]:
    """Move unchanged documents to this revision; plan anew those that changed under our hands.

    Chunks move along with the head: a late rival could otherwise take them over and delete them. A
    rival's own chunks do not: at this revision nobody would delete them.
    """
    if not plans:
        return []
    fence.store.set_payloads(fence.collection, _moves(fence, plans))
    again = [
        plan_anew(wanted, head, stored)
        for wanted, head, stored in fence.held([plan.wanted for plan in plans])
        if not _is_touched(fence, wanted, head, stored)
    ]
    changed = {plan.wanted.key for plan in again}
    touched = [plan for plan in plans if plan.wanted.key not in changed]
    fence.delete_chunks(touched, filters.revision_below(fence.revision))
    return again


def _moves(fence: Fence, plans: Sequence[DocumentPlan]) -> list[tuple[dict[str, Any], q.Filter]]:
    revision: dict[str, Any] = {"revision": fence.revision}
    reached = filters.revision_at_most(fence.revision)
    known = filters.hashes_in({plan.head.source_hash for plan in plans if plan.head})
    heads = filters.ids_in([plan.wanted.head_id for plan in plans])
    updates = [(revision, q.Filter(must=[heads, known, reached]))]
    # Of a refused document only the last good version is here, whoever had it in hand last.
    refused = [plan.wanted.entry for plan in plans if plan.wanted.quarantine_hash]
    others = [plan.wanted.entry for plan in plans if not plan.wanted.quarantine_hash]
    for entries, also in ((refused, []), (others, [known])):
        if entries and fence.has_chunks:
            chunks = q.Filter(must=[filters.entries_in(entries), *also, reached], must_not=[filters.HEAD])
            updates.insert(0, (revision, chunks))
    return updates


def _is_touched(fence: Fence, wanted: Wanted, head: Head | None, stored: Sequence[StoredChunk]) -> bool:
    if head is None or head.revision < fence.revision:
        return False
    return head.revision > fence.revision or is_applied(wanted, head, stored, recipe=fence.recipe)
