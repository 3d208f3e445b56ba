"""Any history of several documents, messages, crashes, zombies and generations, against a dictionary.

The exploration visits every order of a small history; this one goes through long and mixed ones.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from contextlib import suppress
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from twin_assets.models.change import Change
from twin_assets.models.generation import Generation, GenerationStatus
from twin_assets.models.kinds import DataType, Snapshot
from twin_assets.operations.apply import Applier
from twin_assets.operations.batch import Batch
from twin_assets.operations.context import StepContext
from twin_assets.source.documents import SourceRead
from twin_assets_tests.protocol.explore import is_right
from twin_assets_tests.protocol.programs import Impatience, NoLetters, WordProcessors
from twin_assets_tests.protocol.world import TYPE, Version
from twin_assets_tests.protocol.world import document_of as raw_of
from twin_assets_tests.store.builders import generation
from twin_assets_tests.store.memory_store import MemoryStore

ENTRIES = ["int:1", "int:2", "str:1"]
TEXTS = st.lists(st.sampled_from("abc"), min_size=1, max_size=4).map(" ".join)
MAY_WRITE = {"upsert", "set_payloads", "delete"}


class Crash(Exception):
    """The process ends here."""


class CrashingStore(MemoryStore):
    """Ends its process before the n-th write."""

    def __init__(self, collections: Mapping[str, Any], *, before_write: int) -> None:
        super().__init__()
        self.collections = collections  # the same ones: what was written stays
        self._left = before_write

    def __getattribute__(self, name: str) -> Any:
        if name in MAY_WRITE:
            if self._left == 0:
                raise Crash
            self._left -= 1
        return super().__getattribute__(name)


class AnyHistory(RuleBasedStateMachine):
    """`documents` is the model: what every generation must say once all messages are settled."""

    def __init__(self) -> None:
        super().__init__()
        self.clock = 0
        self.documents: dict[str, str] = {}
        self.messages: list[str] = []
        self.generations: list[Generation] = []
        self.unscanned: list[Generation] = []
        self.zombies: list[tuple[Applier, Batch]] = []
        self.store = MemoryStore()
        for snapshot in Snapshot:
            self._register(snapshot, 1, GenerationStatus.LIVE)

    @rule(entry=st.sampled_from(ENTRIES), text=TEXTS)
    def write(self, entry: str, text: str) -> None:
        self._commit(entry, text)

    @rule(entry=st.sampled_from(ENTRIES))
    def delete(self, entry: str) -> None:
        self._commit(entry, None)

    @precondition(lambda self: self.documents)
    @rule(data=st.data())
    def write_the_same_again(self, data: st.DataObject) -> None:
        entry = data.draw(st.sampled_from(sorted(self.documents)))
        self._commit(entry, self.documents[entry])

    @precondition(lambda self: self.messages)
    @rule(data=st.data())
    def deliver_some_in_any_order(self, data: st.DataObject) -> None:
        taken = self._draw_messages(data)
        applier = self._applier(self.store)
        applier.apply(applier.fetch(self._changes(taken)))
        for entry in taken:
            self.messages.remove(entry)

    @precondition(lambda self: self.messages)
    @rule(data=st.data())
    def deliver_twice(self, data: st.DataObject) -> None:
        self.messages.append(data.draw(st.sampled_from(self.messages)))

    @precondition(lambda self: self.messages)
    @rule(data=st.data(), before_write=st.integers(0, 12))
    def crash_in_a_write(self, data: st.DataObject, before_write: int) -> None:
        applier = self._applier(CrashingStore(self.store.collections, before_write=before_write))
        with suppress(Crash):
            applier.apply(applier.fetch(self._changes(self._draw_messages(data))))

    @precondition(lambda self: self.messages and len(self.zombies) < 2)
    @rule(data=st.data(), steps=st.integers(0, 4))
    def stop_a_writer_half_way(self, data: st.DataObject, steps: int) -> None:
        applier = self._applier(self.store)
        batch = applier.fetch(self._changes(self._draw_messages(data)))
        for step in (applier.clean, applier.chunk, applier.plan, applier.embed)[:steps]:
            batch = step(batch)
        self.zombies.append((applier, batch))

    @precondition(lambda self: self.zombies)
    @rule()
    def let_the_zombie_go_on(self) -> None:
        applier, batch = self.zombies.pop(0)
        if not batch.shares:
            batch = applier.plan(applier.chunk(applier.clean(batch)))
        applier.write(applier.embed(batch))

    @precondition(lambda self: not self.unscanned and len(self.generations) < 6)
    @rule(snapshot=st.sampled_from(Snapshot))
    def register(self, snapshot: Snapshot) -> None:
        number = 1 + max(each.number for each in self.generations if each.snapshot is snapshot)
        self.unscanned.append(self._register(snapshot, number, GenerationStatus.BUILDING))

    @precondition(lambda self: self.unscanned)
    @rule()
    def scan_and_switch(self) -> None:
        built = self.unscanned.pop()
        applier = self._applier(self.store)
        found = {(TYPE, entry): raw_of(text) for entry, text in self.documents.items()}
        applier.apply(applier.batch_of(SourceRead(self.clock, found), targets={TYPE: [built]}))
        for at, each in enumerate(self.generations):
            if each.snapshot is built.snapshot and each.status is GenerationStatus.LIVE:
                self.generations[at] = each.model_copy(update={"status": GenerationStatus.STANDBY})
            if each.collection == built.collection:
                self.generations[at] = each.model_copy(update={"status": GenerationStatus.LIVE})

    @rule()
    def drop_a_standby(self) -> None:
        for each in self.generations:
            if each.status is GenerationStatus.STANDBY:
                self.generations.remove(each)
                del self.store.collections[each.collection]
                return

    @invariant()
    def nothing_newer_than_the_clock_is_held(self) -> None:
        for points in self.store.collections.values():
            assert all(point["revision"] <= self.clock for point in points.values())

    def teardown(self) -> None:
        """Settle everything, then compare every generation with the dictionary.

        The zombies come last: a message that is delivered after them would mend what they had spoilt.
        """
        applier = self._applier(self.store)
        while self.messages:
            applier.apply(applier.fetch(self._changes([self.messages.pop(0)])))
        while self.unscanned:
            self.scan_and_switch()
        while self.zombies:
            self.let_the_zombie_go_on()
        for each in self.generations:
            points = self.store.collections[each.collection]
            for entry in ENTRIES:
                own = {key: point for key, point in points.items() if point["entry"] == entry}
                assert is_right(own, each.snapshot, self.documents.get(entry)), (each.collection, own)

    def _commit(self, entry: str, version: Version) -> None:
        self.clock += 1
        if version is None:
            self.documents.pop(entry, None)
        else:
            self.documents[entry] = version
        self.messages.append(entry)

    def _register(self, snapshot: Snapshot, number: int, status: GenerationStatus) -> Generation:
        found = generation(snapshot, number).model_copy(update={"since": self.clock, "status": status})
        self.clock += 1
        self.generations.append(found)
        self.store.collections[found.collection] = {}
        return found

    def _draw_messages(self, data: st.DataObject) -> list[str]:
        return data.draw(st.lists(st.sampled_from(self.messages), min_size=1, max_size=3, unique=True))

    def _changes(self, entries: Collection[str]) -> list[Change]:
        return [Change(type=TYPE, entry=entry, revision=0) for entry in entries]

    def _applier(self, store: MemoryStore) -> Applier:
        source = SimpleNamespace(now=lambda: self.clock, read=self._read)
        meta = SimpleNamespace(generations=lambda *_: list(self.generations))
        twin: Any = SimpleNamespace(source=source, meta=meta, store=store)
        processors: Any = WordProcessors()
        return Applier(StepContext(twin, processors, Impatience(), NoLetters()))

    def _read(self, wanted: Mapping[DataType, Collection[str]], *, at_least: int = 0) -> SourceRead:
        entries = wanted[TYPE]
        return SourceRead(self.clock, {(TYPE, entry): raw_of(self.documents.get(entry)) for entry in entries})


AnyHistory.TestCase.settings = settings(
    max_examples=150,
    stateful_step_count=30,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow],
)
TestAnyHistory = AnyHistory.TestCase


@pytest.mark.nightly
@pytest.mark.timeout(3600)
def test_many_more_histories() -> None:
    run_state_machine_as_test(
        AnyHistory,
        settings=settings(
            max_examples=5000,
            stateful_step_count=60,
            deadline=None,
            print_blob=True,
            suppress_health_check=list(HealthCheck),
        ),
    )
