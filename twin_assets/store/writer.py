"""The fenced write of a batch of documents into one generation, step by step in an order that is not a taste.

New chunks, kept chunks, verification, head, stale chunks, settled: readers never see a document without
chunks, and a writer that was overtaken finds out at the head and takes its own chunks back.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from qdrant_client import models as q

from twin_assets.errors import StoreUnavailable
from twin_assets.models.chunk import ChunkModel
from twin_assets.models.embedded import EmbeddedChunkModel
from twin_assets.models.generation import Generation
from twin_assets.models.head import Head
from twin_assets.store import filters, points
from twin_assets.store.plan import (
    Action,
    DocumentPlan,
    Wanted,
    has_moved,
    is_applied,
    plan_anew,
    plan_document,
)
from twin_assets.store.point_store import PointStore

Embed = Callable[[Sequence[ChunkModel]], list[EmbeddedChunkModel]]
VERIFY_ROUNDS = 3


class GenerationWriter:
    """Brings documents that were read at `revision` into one generation.

    Safe to repeat, to interrupt anywhere and to run beside rivals with other revisions.
    """

    def __init__(self, store: PointStore, generation: Generation, *, revision: int) -> None:
        self._store = store
        self._generation = generation
        self._collection = generation.collection
        self._revision = revision
        self._has_chunks = generation.recipe.snapshot == "vector"

    def override(self, documents: Sequence[Wanted], *, above: int) -> None:
        """Reset revisions that no cluster time has reached yet, in documents whose change is forced."""
        forced = [wanted.entry for wanted in documents if wanted.force]
        if forced:
            impossible = q.Filter(must=[filters.entries_in(forced), filters.revision_above(above)])
            self._store.set_payloads(self._collection, [({"revision": 0}, impossible)])

    def plan(self, documents: Sequence[Wanted]) -> list[DocumentPlan]:
        """Compare documents with what the generation holds: two reads for the whole batch."""
        recipe = self._generation.recipe.short
        return [
            plan_document(wanted, head, stored, revision=self._revision, recipe=recipe)
            for wanted, head, stored in self._held(documents)
        ]

    def _held(
        self, documents: Sequence[Wanted]
    ) -> list[tuple[Wanted, Head | None, Sequence[points.StoredChunk]]]:
        heads = self._store.heads(self._collection, [wanted.head_id for wanted in documents])
        stored: dict[str, list[points.StoredChunk]] = {}
        if self._has_chunks:
            stored = self._store.chunks(self._collection, [wanted.entry for wanted in documents])
        return [(wanted, heads.get(wanted.key), stored.get(wanted.entry, [])) for wanted in documents]

    def stage(self, embedded: Iterable[tuple[DocumentPlan, EmbeddedChunkModel]]) -> None:
        """Write new chunks, of any of the documents; what is written once survives a crash of the rest."""
        rows = [
            points.chunk_point(
                chunk,
                revision=self._revision,
                source_hash=plan.wanted.source_hash,
                content_hash=plan.wanted.content_hash,
            )
            for plan, chunk in embedded
        ]
        self._store.upsert(self._collection, rows, revision=self._revision)

    def unstage(self, plan: DocumentPlan) -> None:
        """Take back the chunks that were staged of a version that turned out to have no good form.

        Not those of a forced one, which may stand where the last good version's did.
        """
        if plan.new and not plan.wanted.force:
            new = filters.ids_in([chunk.point_id for chunk in plan.new])
            self._store.delete(self._collection, q.Filter(must=[new, filters.revision_is(self._revision)]))

    def finish(self, plans: Sequence[DocumentPlan], *, embed: Embed) -> list[DocumentPlan]:
        """Make the batch visible and clean up behind it; return the plans that a rival has overtaken."""
        again = self._touch([plan for plan in plans if plan.action is Action.TOUCH])
        due = [*plans, *again]
        written = [plan for plan in due if plan.action in (Action.WRITE, Action.DELETE)]
        quarantined = [plan for plan in due if plan.action is Action.QUARANTINE]
        self._move_kept(written)
        self._verify(written, embed=embed)
        self._write_heads(written)
        self._quarantine(quarantined)
        return self._settle(written) + self._overtaken(quarantined)

    def _touch(self, plans: Sequence[DocumentPlan]) -> list[DocumentPlan]:
        """Move unchanged documents to this revision; plan anew those that changed under our hands.

        Chunks move along with the head: a late rival could otherwise take them over and delete them. A
        rival's own chunks do not: at this revision nobody would delete them.
        """
        if not plans:
            return []
        self._store.set_payloads(self._collection, self._touches(plans))
        held = self._held([plan.wanted for plan in plans])
        again = [
            plan_anew(wanted, head, stored)
            for wanted, head, stored in held
            if not self._is_touched(wanted, head, stored)
        ]
        if self._has_chunks:
            changed = {plan.wanted.key for plan in again}
            touched = [plan for plan in plans if plan.wanted.key not in changed]
            self._delete_chunks(touched, filters.revision_below(self._revision))
        return again

    def _touches(self, plans: Sequence[DocumentPlan]) -> list[tuple[dict[str, Any], q.Filter]]:
        revision: dict[str, Any] = {"revision": self._revision}
        fence = filters.revision_at_most(self._revision)
        known = filters.hashes_in({plan.head.source_hash for plan in plans if plan.head})
        heads = filters.ids_in([plan.wanted.head_id for plan in plans])
        updates = [(revision, q.Filter(must=[heads, known, fence]))]
        # Of a refused document only the last good version is here, whoever had it in hand last.
        refused = [plan.wanted.entry for plan in plans if plan.wanted.quarantine_hash]
        others = [plan.wanted.entry for plan in plans if not plan.wanted.quarantine_hash]
        for entries, also in ((refused, []), (others, [known])):
            if entries and self._has_chunks:
                chunks = q.Filter(must=[filters.entries_in(entries), *also, fence], must_not=[filters.HEAD])
                updates.insert(0, (revision, chunks))
        return updates

    def _is_touched(self, wanted: Wanted, head: Head | None, stored: Sequence[points.StoredChunk]) -> bool:
        if head is None or head.revision < self._revision:
            return False
        recipe = self._generation.recipe.short
        return head.revision > self._revision or is_applied(wanted, head, stored, recipe=recipe)

    def _move_kept(self, plans: Sequence[DocumentPlan]) -> None:
        updates: list[tuple[dict[str, Any], q.Filter]] = []
        for plan in plans:
            still = [chunk for chunk, stored in plan.kept if not has_moved(chunk, stored)]
            moved = [chunk for chunk, stored in plan.kept if has_moved(chunk, stored)]
            if still:
                updates.append((self._shared_payload(plan, still[0]), self._fenced(still)))
            updates += [(self._own_payload(plan, chunk), self._fenced([chunk])) for chunk in moved]
        self._store.set_payloads(self._collection, updates)

    def _own_payload(self, plan: DocumentPlan, chunk: ChunkModel) -> dict[str, Any]:
        return points.chunk_payload(
            chunk,
            revision=self._revision,
            source_hash=plan.wanted.source_hash,
            content_hash=plan.wanted.content_hash,
        )

    def _shared_payload(self, plan: DocumentPlan, chunk: ChunkModel) -> dict[str, Any]:
        own = {"content", *points.PLACE_FIELDS}
        payload = self._own_payload(plan, chunk)
        return {name: value for name, value in payload.items() if name not in own}

    def _fenced(self, chunks: Sequence[ChunkModel]) -> q.Filter:
        ids = filters.ids_in([chunk.point_id for chunk in chunks])
        return q.Filter(must=[ids, filters.revision_at_most(self._revision)])

    def _verify(self, plans: Sequence[DocumentPlan], *, embed: Embed) -> None:
        """Put back the wanted chunks that a rival deleted meanwhile."""
        for _ in range(VERIFY_ROUNDS):
            wanted = [chunk for plan in plans for chunk in plan.wanted.chunks]
            held = self._store.revisions(self._collection, [chunk.point_id for chunk in wanted])
            missing = {
                plan.wanted.key: [
                    chunk for chunk in plan.wanted.chunks if held.get(chunk.point_id, -1) < self._revision
                ]
                for plan in plans
            }
            if not any(missing.values()):
                return
            for plan in plans:
                self.stage((plan, chunk) for chunk in embed(missing[plan.wanted.key]))
        raise StoreUnavailable(self._store.place, f"{self._collection} keeps losing chunks that were written")

    def _write_heads(self, plans: Sequence[DocumentPlan]) -> None:
        settled = not self._has_chunks
        heads = [self._head(plan, settled=settled) for plan in plans]
        self._store.upsert(self._collection, heads, revision=self._revision)

    def _head(self, plan: DocumentPlan, *, settled: bool) -> q.PointStruct:
        wanted = plan.wanted
        if wanted.cleaned is None:
            return points.tombstone(self._generation, wanted.entry, revision=self._revision, settled=settled)
        return points.document_head(
            self._generation,
            wanted.cleaned,
            revision=self._revision,
            chunk_count=len(wanted.chunks),
            settled=settled,
        )

    def _settle(self, plans: Sequence[DocumentPlan]) -> list[DocumentPlan]:
        """Read the heads back; where they are ours delete what is older, where not, what is ours."""
        overtaken = self._overtaken(plans)
        if not self._has_chunks or not plans:
            return overtaken
        lost = {plan.wanted.key for plan in overtaken}
        won = [plan for plan in plans if plan.wanted.key not in lost]
        self._delete_chunks(overtaken, filters.revision_is(self._revision))
        self._delete_chunks(won, filters.revision_below(self._revision))
        if won:
            heads = filters.ids_in([plan.wanted.head_id for plan in won])
            mine = q.Filter(must=[heads, filters.revision_is(self._revision)])
            self._store.set_payloads(self._collection, [({"settled": True}, mine)])
        return overtaken

    def _overtaken(self, plans: Sequence[DocumentPlan]) -> list[DocumentPlan]:
        heads = self._store.heads(self._collection, [plan.wanted.head_id for plan in plans])
        return [plan for plan in plans if not self._is_mine(heads.get(plan.wanted.key))]

    def _is_mine(self, head: Head | None) -> bool:
        return head is not None and head.revision == self._revision

    def _delete_chunks(self, plans: Sequence[DocumentPlan], which: q.FieldCondition) -> None:
        if plans:
            entries = filters.entries_in([plan.wanted.entry for plan in plans])
            self._store.delete(self._collection, q.Filter(must=[entries, which], must_not=[filters.HEAD]))

    def _quarantine(self, plans: Sequence[DocumentPlan]) -> None:
        """Mark refused documents; the last good version stays, moved to this revision with its chunks."""
        fresh = [plan for plan in plans if plan.head is None or plan.head.deleted]
        heads = [
            points.quarantine_head(
                self._generation,
                plan.wanted.entry,
                revision=self._revision,
                quarantine_hash=plan.wanted.quarantine_hash,
            )
            for plan in fresh
        ]
        self._store.upsert(self._collection, heads, revision=self._revision)
        updates = [
            update
            for plan in plans
            if plan.head is not None and not plan.head.deleted
            for update in self._quarantine_updates(plan)
        ]
        self._store.set_payloads(self._collection, updates)
        for plan in plans:
            if plan.head is not None and not plan.head.deleted and not plan.head.settled:
                self._settle_good_version(plan.wanted, plan.head)

    def _settle_good_version(self, wanted: Wanted, good: Head) -> None:
        """Finish the clean-up that a crash had cut off behind a version that now stays for a while."""
        reached = [filters.entries_in([wanted.entry]), filters.revision_at_most(self._revision)]
        others = [filters.HEAD, filters.hashes_in([good.source_hash])]
        self._store.delete(self._collection, q.Filter(must=reached, must_not=others))
        mine = q.Filter(must=[filters.ids_in([wanted.head_id]), filters.revision_is(self._revision)])
        self._store.set_payloads(self._collection, [({"settled": True}, mine)])

    def _quarantine_updates(self, plan: DocumentPlan) -> list[tuple[dict[str, Any], q.Filter]]:
        fence = filters.revision_at_most(self._revision)
        entry = filters.entries_in([plan.wanted.entry])
        head = filters.ids_in([plan.wanted.head_id])
        revision: dict[str, Any] = {"revision": self._revision}
        mark = revision | {"quarantined": True, "quarantine_hash": plan.wanted.quarantine_hash}
        return [
            (revision, q.Filter(must=[entry, fence], must_not=[filters.HEAD])),
            (mark, q.Filter(must=[head, fence])),
        ]
