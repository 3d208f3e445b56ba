"""The protocol with one rule switched off. Each must end wrong somewhere, or the proof proves nothing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest
from qdrant_client import models as q

from twin_assets.source.documents import SourceRead
from twin_assets.store import filters
from twin_assets.store import quarantine as quarantine_module
from twin_assets.store import touch as touch_module
from twin_assets.store.fence import Fence
from twin_assets.store.plan import Action, DocumentPlan
from twin_assets.store.writer import GenerationWriter
from twin_assets_tests.protocol import programs
from twin_assets_tests.protocol.explore import Case
from twin_assets_tests.protocol.programs import DoorSource, DoorStore
from twin_assets_tests.protocol.replay import Request
from twin_assets_tests.protocol.world import ENTRY, TYPE

Patch = Callable[[pytest.MonkeyPatch], None]


def without_verification(patch: pytest.MonkeyPatch) -> None:
    """Heads are written without a look whether a rival deleted chunks meanwhile."""
    patch.setattr(GenerationWriter, "_verify", lambda self, plans, *, embed: None)


def without_read_back(patch: pytest.MonkeyPatch) -> None:
    """A writer takes it for granted that its head won."""
    patch.setattr(Fence, "overtaken", lambda self, plans: [])


def with_the_delete_before_the_head(patch: pytest.MonkeyPatch) -> None:
    """Older chunks go before the head says which version is wanted."""
    write_heads = GenerationWriter._write_heads

    def delete_first(self: GenerationWriter, plans: Sequence[DocumentPlan]) -> None:
        self._fence.delete_chunks(plans, filters.revision_below(self._revision))
        write_heads(self, plans)

    def only_settle(self: GenerationWriter, plans: Sequence[DocumentPlan]) -> list[DocumentPlan]:
        overtaken = self._fence.overtaken(plans)
        won = [plan for plan in plans if plan not in overtaken]
        self._fence.settle([plan.wanted for plan in won])
        return overtaken

    patch.setattr(GenerationWriter, "_write_heads", delete_first)
    patch.setattr(GenerationWriter, "_clean_up", only_settle)


def without_since(patch: pytest.MonkeyPatch) -> None:
    """A read that is older than a generation is written into it all the same."""
    registered = programs.registry

    def since_ever(door: Any) -> Any:
        return [found.model_copy(update={"since": 0}) for found in registered(door)]

    patch.setattr(programs, "registry", since_ever)


def with_the_time_taken_after_the_read(patch: pytest.MonkeyPatch) -> None:
    """The revision is newer than what was read."""

    def read(self: DoorSource, wanted: Any, *, at_least: int = 0) -> SourceRead:
        document = self._door.ask(Request("world", "find"))
        return SourceRead(self.now(), {(TYPE, ENTRY): document})

    patch.setattr(DoorSource, "read", read)


def without_the_fence(patch: pytest.MonkeyPatch) -> None:
    """Upserts overwrite whatever stands there, newer or not."""
    upsert = DoorStore.upsert

    def unfenced(self: DoorStore, collection: str, points: Any, *, revision: int, over: Any = ()) -> None:
        upsert(self, collection, points, revision=1 << 50, over=over)

    patch.setattr(DoorStore, "upsert", unfenced)


def with_an_unchanged_document_left_alone(patch: pytest.MonkeyPatch) -> None:
    """An unchanged document moves neither its head nor its chunks."""
    finish = GenerationWriter.finish

    def skipping(self: GenerationWriter, plans: Sequence[DocumentPlan], *, embed: Any) -> Any:
        return finish(self, [plan for plan in plans if plan.action is not Action.TOUCH], embed=embed)

    patch.setattr(GenerationWriter, "finish", skipping)


def with_a_touch_of_the_head_alone(patch: pytest.MonkeyPatch) -> None:
    """An unchanged document moves its head, and leaves its chunks where they are."""
    patch.setattr(touch_module, "_chunk_moves", lambda fence, plans: [])
    patch.setattr(Fence, "delete_chunks", _deleting_nothing_older(Fence.delete_chunks))


def with_a_refused_head_over_a_good_one(patch: pytest.MonkeyPatch) -> None:
    """A document that seemed new when it was refused replaces a good version that came meanwhile."""
    upsert = DoorStore.upsert

    def over_anything(
        self: DoorStore, collection: str, points: Any, *, revision: int, over: Any = ()
    ) -> None:
        upsert(self, collection, points, revision=revision)

    patch.setattr(DoorStore, "upsert", over_anything)


def with_a_refused_clean_up_as_far_as_the_read(patch: pytest.MonkeyPatch) -> None:
    """Behind a last good version goes whatever is not of it, up to the revision of the refused one."""
    clean_up = quarantine_module._delete_what_is_older

    def further(fence: Fence, wanted: Any, good: Any) -> None:
        clean_up(fence, wanted, good.model_copy(update={"revision": fence.revision}))

    patch.setattr(quarantine_module, "_delete_what_is_older", further)


def with_a_rivals_chunks_kept_where_none_was_good(patch: pytest.MonkeyPatch) -> None:
    """A document that never had a good version keeps what a late rival puts down."""
    chunk_moves = touch_module._chunk_moves

    def all_moves(fence: Fence, plans: Sequence[DocumentPlan]) -> Any:
        refused = [plan.wanted.entry for plan in plans if plan.wanted.quarantine_hash]
        reached = [filters.entries_in(refused), filters.revision_at_most(fence.revision)]
        chosen = q.Filter(must=reached, must_not=[filters.HEAD])
        return [*chunk_moves(fence, plans), ({"revision": fence.revision}, chosen)]

    patch.setattr(touch_module, "_chunk_moves", all_moves)


def with_a_touch_that_takes_nothing_back(patch: pytest.MonkeyPatch) -> None:
    """A second attempt that finds itself overtaken leaves what the first had put down."""
    delete = Fence.delete_chunks

    def of_writers(self: Fence, plans: Sequence[DocumentPlan], which: Any) -> None:
        if which.match is None or any(plan.action is not Action.TOUCH for plan in plans):
            delete(self, plans, which)

    patch.setattr(Fence, "delete_chunks", of_writers)


def _deleting_nothing_older(delete: Callable[..., None]) -> Callable[..., None]:
    def only_exact(self: Fence, plans: Sequence[DocumentPlan], which: Any) -> None:
        if which.range is None or any(plan.action is not Action.TOUCH for plan in plans):
            delete(self, plans, which)

    return only_exact


RULES: dict[str, tuple[Patch, Case]] = {
    "verification": (without_verification, Case(("a b", "b", "a c"), 1, is_applied=True, is_settled=True)),
    "read-back": (without_read_back, Case(("a b", "a c"), 0)),
    "the head before the delete": (with_the_delete_before_the_head, Case(("a b", "a c"), 0)),
    "since": (without_since, Case(("a", None), 0, has_rebuild=True, is_applied=True)),
    "the time before the read": (with_the_time_taken_after_the_read, Case(("a", "b"), 0)),
    "the fence": (without_the_fence, Case(("a", "b"), 0)),
    "an unchanged document moves": (with_an_unchanged_document_left_alone, Case(("a b", "a c", "a b"), 1)),
    "an overtaken touch takes back": (
        with_a_touch_that_takes_nothing_back,
        Case(("a", "b", "a"), 1, crashes=1),
    ),
    "a refused head spares a good one": (with_a_refused_head_over_a_good_one, Case(("a b", "!"), 0)),
    "a refused clean-up stops": (with_a_refused_clean_up_as_far_as_the_read, Case(("a", "!", "b"), 0)),
    "nothing is kept where none was good": (
        with_a_rivals_chunks_kept_where_none_was_good,
        Case(("a", "!"), 0),
    ),
    "chunks move with their head": (with_a_touch_of_the_head_alone, Case(("a b", "a c", "a b"), 1)),
}
