"""One generation as one read may write it: what every fenced write shares."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from qdrant_client import models as q

from twin_assets.models.generation import Generation
from twin_assets.models.head import Head
from twin_assets.store import filters
from twin_assets.store.plan import DocumentPlan, Wanted
from twin_assets.store.point_store import PointStore
from twin_assets.store.points import StoredChunk

Held = tuple[Wanted, Head | None, Sequence[StoredChunk]]


@dataclass(frozen=True)
class Fence:
    """A generation at the revision of a read: nothing newer than that revision is ever touched."""

    store: PointStore
    generation: Generation
    revision: int

    @property
    def collection(self) -> str:
        """The generation's physical name."""
        return self.generation.collection

    @property
    def recipe(self) -> str:
        """The short hash of the generation's recipe."""
        return self.generation.recipe.short

    @property
    def has_chunks(self) -> bool:
        """Whether documents have chunks beside their heads."""
        return self.generation.recipe.snapshot == "vector"

    def held(self, documents: Sequence[Wanted]) -> list[Held]:
        """Return head and chunks of each document, by two reads for all."""
        heads = self.store.heads(self.collection, [wanted.head_id for wanted in documents])
        stored: dict[str, list[StoredChunk]] = {}
        if self.has_chunks:
            stored = self.store.chunks(self.collection, [wanted.entry for wanted in documents])
        return [(wanted, heads.get(wanted.key), stored.get(wanted.entry, [])) for wanted in documents]

    def overtaken(self, plans: Sequence[DocumentPlan]) -> list[DocumentPlan]:
        """Return the plans whose head, read back, is not of this revision."""
        heads = self.store.heads(self.collection, [plan.wanted.head_id for plan in plans])
        return [plan for plan in plans if not self._is_mine(heads.get(plan.wanted.key))]

    def delete_chunks(self, plans: Sequence[DocumentPlan], which: q.FieldCondition) -> None:
        """Delete some chunks of some documents."""
        if plans and self.has_chunks:
            entries = filters.entries_in([plan.wanted.entry for plan in plans])
            self.store.delete(self.collection, q.Filter(must=[entries, which], must_not=[filters.HEAD]))

    def settle(self, documents: Sequence[Wanted]) -> None:
        """Mark heads of this revision: nothing older is left behind them."""
        if documents:
            heads = filters.ids_in([wanted.head_id for wanted in documents])
            mine = q.Filter(must=[heads, filters.revision_is(self.revision)])
            self.store.set_payloads(self.collection, [({"settled": True}, mine)])

    def _is_mine(self, head: Head | None) -> bool:
        return head is not None and head.revision == self.revision
