"""Unchanged documents: nothing is written but that they were seen unchanged at this revision."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from qdrant_client import models as q

from twin_assets.store import filters
from twin_assets.store.fence import Fence
from twin_assets.store.plan import DocumentPlan, is_applied, plan_anew


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
        seen = _look(fence, plans)
        again, plans = seen.changed, seen.intact + seen.overtaken
    fence.store.set_payloads(fence.collection, _head_moves(fence, plans))
    seen = _look(fence, plans, revision=fence.revision)
    fence.delete_chunks(seen.intact, filters.revision_below(fence.revision))
    # An attempt before this one may have put chunks down that it had no time to take back.
    fence.delete_chunks(seen.overtaken, filters.revision_is(fence.revision))
    return again + seen.changed


@dataclass
class _Seen:
    """Documents by what became of them: `changed` ones are planned anew."""

    intact: list[DocumentPlan] = field(default_factory=list)
    overtaken: list[DocumentPlan] = field(default_factory=list)
    changed: list[DocumentPlan] = field(default_factory=list)


def _look(fence: Fence, plans: Sequence[DocumentPlan], *, revision: int = 0) -> _Seen:
    """Tell what is as it was planned, and at `revision` or above, from what is not."""
    seen, planned = _Seen(), {plan.wanted.key: plan for plan in plans}
    for wanted, head, stored in fence.held([plan.wanted for plan in plans]):
        if head is not None and head.revision > fence.revision:
            seen.overtaken.append(planned[wanted.key])
        elif (
            head is not None
            and head.revision >= revision
            and is_applied(wanted, head, stored, recipe=fence.recipe)
        ):
            seen.intact.append(planned[wanted.key])
        else:
            seen.changed.append(plan_anew(wanted, head, stored))
    return seen


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
