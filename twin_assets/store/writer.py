"""The fenced write of a batch of documents into one generation, step by step in an order that is not a taste.

New chunks, kept chunks, verification, head, stale chunks, settled: readers never see a document without
chunks, and a writer that was overtaken finds out at the head and takes its own chunks back.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from qdrant_client import models as q

from twin_assets.errors import StoreUnavailable
from twin_assets.faults import FaultPoint, fault_point
from twin_assets.models.chunk import ChunkModel
from twin_assets.models.embedded import EmbeddedChunkModel
from twin_assets.models.generation import Generation
from twin_assets.store import filters, points
from twin_assets.store.fence import Fence
from twin_assets.store.plan import Action, DocumentPlan, Wanted, has_moved, plan_document
from twin_assets.store.point_store import PointStore
from twin_assets.store.quarantine import quarantine
from twin_assets.store.touch import touch

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
        self._fence = Fence(store, generation, revision)

    def override(self, documents: Sequence[Wanted], *, above: int) -> None:
        """Reset revisions that no cluster time has reached yet, in documents whose change is forced."""
        forced = [wanted.entry for wanted in documents if wanted.force]
        if forced:
            impossible = q.Filter(must=[filters.entries_in(forced), filters.revision_above(above)])
            self._store.set_payloads(self._collection, [({"revision": 0}, impossible)])

    def plan(self, documents: Sequence[Wanted]) -> list[DocumentPlan]:
        """Compare documents with what the generation holds: two reads for the whole batch."""
        return [
            plan_document(wanted, head, stored, revision=self._revision, recipe=self._fence.recipe)
            for wanted, head, stored in self._fence.held(documents)
        ]

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
        again = touch(self._fence, [plan for plan in plans if plan.action is Action.TOUCH])
        due = [*plans, *again]
        written = [plan for plan in due if plan.action in (Action.WRITE, Action.DELETE)]
        quarantined = [plan for plan in due if plan.action is Action.QUARANTINE]
        self._move_kept(written)
        fault_point(FaultPoint.KEPT_MOVED)
        self._verify(written, embed=embed)
        fault_point(FaultPoint.VERIFIED)
        self._write_heads(written)
        fault_point(FaultPoint.HEADS_WRITTEN)
        quarantine(self._fence, quarantined)
        return self._clean_up(written) + self._fence.overtaken(quarantined)

    def _move_kept(self, plans: Sequence[DocumentPlan]) -> None:
        updates: list[tuple[dict[str, Any], q.Filter]] = []
        for plan in plans:
            still: dict[str, list[ChunkModel]] = {}
            for chunk, stored in plan.kept:
                if has_moved(chunk, stored):
                    updates.append((self._own_payload(plan, chunk), self._fenced([chunk])))
                else:
                    still.setdefault(stored.source_hash, []).append(chunk)
            for placed_by, chunks in still.items():
                # Only where it still stands: a rival that moved it meanwhile left its own mark, and then
                # verification finds it too old and writes it anew.
                in_place = self._fenced(chunks, filters.hashes_in({placed_by}))
                updates.append((self._shared_payload(plan, chunks[0]), in_place))
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

    def _fenced(self, chunks: Sequence[ChunkModel], *also: q.FieldCondition) -> q.Filter:
        ids = filters.ids_in([chunk.point_id for chunk in chunks])
        return q.Filter(must=[ids, filters.revision_at_most(self._revision), *also])

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
        settled = not self._fence.has_chunks
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

    def _clean_up(self, plans: Sequence[DocumentPlan]) -> list[DocumentPlan]:
        """Read the heads back; where they are ours delete what is older, where not, what is ours."""
        overtaken = self._fence.overtaken(plans)
        lost = {plan.wanted.key for plan in overtaken}
        won = [plan for plan in plans if plan.wanted.key not in lost]
        self._fence.delete_chunks(overtaken, filters.revision_is(self._revision))
        self._fence.delete_chunks(won, filters.revision_below(self._revision))
        fault_point(FaultPoint.STALE_DELETED)
        if self._fence.has_chunks:
            self._fence.settle([plan.wanted for plan in won])
        return overtaken
