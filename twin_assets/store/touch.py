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
    rival's own chunks do not: at this revision nobody would delete them. The head follows only where all
    chunks are in place, since a rival that finds it moved takes back what it had taken over.
    """
    if not plans:
        return []
    again: list[DocumentPlan] = []
    if fence.has_chunks:
        fence.store.set_payloads(fence.collection, _chunk_moves(fence, plans))
        again, plans = _changed(fence, plans)
    fence.store.set_payloads(fence.collection, _head_moves(fence, plans))
    changed, touched = _changed(fence, plans, revision=fence.revision)
    fence.delete_chunks(touched, filters.revision_below(fence.revision))
    return again + changed


def _changed(
    fence: Fence, plans: Sequence[DocumentPlan], *, revision: int = 0
) -> tuple[list[DocumentPlan], list[DocumentPlan]]:
    """Return new plans for what is not as it was planned, or below `revision`, and the other old plans."""
    again = [
        plan_anew(wanted, head, stored)
        for wanted, head, stored in fence.held([plan.wanted for plan in plans])
        if not _is_intact(fence, wanted, head, stored, revision=revision)
    ]
    changed = {plan.wanted.key for plan in again}
    return again, [plan for plan in plans if plan.wanted.key not in changed]


def _head_moves(fence: Fence, plans: Sequence[DocumentPlan]) -> list[tuple[dict[str, Any], q.Filter]]:
    if not plans:
        return []
    known = filters.hashes_in({plan.head.source_hash for plan in plans if plan.head})
    heads = filters.ids_in([plan.wanted.head_id for plan in plans])
    chosen = q.Filter(must=[heads, known, filters.revision_at_most(fence.revision)])
    return [({"revision": fence.revision}, chosen)]


def _chunk_moves(fence: Fence, plans: Sequence[DocumentPlan]) -> list[tuple[dict[str, Any], q.Filter]]:
    reached = filters.revision_at_most(fence.revision)
    known = filters.hashes_in({plan.head.source_hash for plan in plans if plan.head})
    # Of a refused document only the last good version is here, whoever had it in hand last.
    # One that never had any has no chunks: what is there is a late rival's, who will take it back.
    refused = [
        plan.wanted.entry
        for plan in plans
        if plan.wanted.quarantine_hash and plan.head and plan.head.source_hash
    ]
    others = [plan.wanted.entry for plan in plans if not plan.wanted.quarantine_hash]
    return [
        (
            {"revision": fence.revision},
            q.Filter(must=[filters.entries_in(entries), *also, reached], must_not=[filters.HEAD]),
        )
        for entries, also in ((others, [known]), (refused, []))
        if entries
    ]


def _is_intact(
    fence: Fence, wanted: Wanted, head: Head | None, stored: Sequence[StoredChunk], *, revision: int
) -> bool:
    if head is None or head.revision < revision:
        return False
    return head.revision > fence.revision or is_applied(wanted, head, stored, recipe=fence.recipe)
