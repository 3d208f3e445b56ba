"""Every order in which commits, a stream, its crashes, a zombie and a rebuild can meet, on one document."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from twin_assets.errors import StoreUnavailable
from twin_assets.models.kinds import Snapshot
from twin_assets_tests.protocol.programs import rebuild, stream
from twin_assets_tests.protocol.replay import DONE, FAILED, Program, Programs
from twin_assets_tests.protocol.world import ABSENT, POISON, Effects, Version
from twin_assets_tests.store.memory_store import Points


@dataclass(frozen=True)
class Case:
    """The document's versions in turn (None: deleted), and who else is about.

    The zombie took the message of version `zombie_at` before it was given to another stream. With
    `is_applied` the first version is in the first generation already; with `is_settled` its message is gone.
    """

    versions: tuple[Version, ...]
    zombie_at: int | None = 0
    crashes: int = 0
    has_rebuild: bool = False
    has_cleaned: bool = False
    is_applied: bool = False
    is_settled: bool = False

    def __str__(self) -> str:
        who = f"zombie at {self.zombie_at}" if self.zombie_at is not None else "no zombie"
        also = " rebuild" * self.has_rebuild + " cleaned" * self.has_cleaned + f" {self.crashes} crashes"
        also += " applied" * self.is_applied + " settled" * self.is_settled
        return f"{' > '.join(str(version) for version in self.versions)}: {who},{also}"


class State(NamedTuple):
    """Numbers alone. `stream`, `zombie` and `rebuild` are nodes, or one of the three below."""

    world: int
    committed: int
    settled: int
    stream: int
    crashes: int
    zombie: int
    rebuild: int


IDLE, NOT_BEGUN, OVER = -10, -11, -12
SEED = 0


@dataclass
class Findings:
    """How much was explored, and what was wrong, each with the state that shows it."""

    states: int = 0
    ends: int = 0
    wrong_ends: list[str] = field(default_factory=list)
    empty_reads: list[str] = field(default_factory=list)

    @property
    def are_clean(self) -> bool:
        return self.ends > 0 and not self.wrong_ends and not self.empty_reads


class Machine:
    """The programs and what they do to worlds; what one case has worked out serves the next one too."""

    def __init__(
        self, *, stream: Program = stream, rebuild: Program = rebuild, has_moments: bool = False
    ) -> None:
        self.programs = Programs({"stream": stream, "rebuild": rebuild}, failures=(StoreUnavailable,))
        self.effects = Effects(self.programs.requests, self.programs.answers, has_moments=has_moments)
        self._steps: dict[tuple[int, int], tuple[int, int]] = {}

    def step(self, world: int, node: int) -> tuple[int, int]:
        """Take one effect; return the world after it, and the node, DONE or FAILED."""
        key = (world, node)
        if key not in self._steps:
            world, answer = self.effects.apply(world, self.programs.nodes[node].request)
            after = self.programs.after(node, answer)
            request = self.programs.nodes[after].request
            self._steps[key] = world, request if request in (DONE, FAILED) else after
        return self._steps[key]


class Exploration:
    """One case on one machine; `acknowledges_first` breaks a rule, to see what it is for."""

    def __init__(self, case: Case, machine: Machine, *, acknowledges_first: bool = False) -> None:
        self._case = case
        self._effects = machine.effects
        self._step = machine.step
        self._acknowledges_first = acknowledges_first
        self._stream_root = machine.programs.roots["stream"]
        self._rebuild_root = machine.programs.roots["rebuild"]
        self._verdicts: dict[tuple[int, Snapshot, Version], bool] = {}

    def run(self, *, stop_at_first: bool = False) -> Findings:
        """Visit every state that can be reached, or go deep in a random order until something is wrong."""
        first = self._first()
        seen, stack, found = {first}, [first], Findings()
        shuffle = random.Random(SEED).shuffle if stop_at_first else _keep_order
        while stack:
            state = stack.pop()
            found.states += 1
            if self._is_end(state):
                self._judge_end(state, found)
            successors = list(self._successors(state))
            shuffle(successors)
            for after in successors:
                self._judge_reader(state.world, after.world, found)
                if after not in seen:
                    seen.add(after)
                    stack.append(after)
            if stop_at_first and (found.wrong_ends or found.empty_reads):
                return found
        return found

    def walk(self, times: int) -> Findings:
        """Go from the first state to an end that many times, by chance: for what is too large to exhaust."""
        found, choose = Findings(), random.Random(SEED).choice
        for _ in range(times):
            state = self._first()
            while successors := list(self._successors(state)):
                after = choose(successors)
                self._judge_reader(state.world, after.world, found)
                state = after
                found.states += 1
            self._judge_end(state, found)
        return found

    def _first(self) -> State:
        case = self._case
        empty = self._effects.first_world(cleaned=case.has_cleaned)
        first = self._effects.commit(empty, case.versions[0])
        if case.is_applied:
            first = self._effects.applied(first)
        zombie = OVER if self._case.zombie_at is None else NOT_BEGUN
        rebuild = NOT_BEGUN if self._case.has_rebuild else OVER
        number, settled = self._effects.number(first), int(case.is_settled)
        return State(number, 1, settled, IDLE, case.crashes, zombie, rebuild)

    def _successors(self, state: State) -> Iterator[State]:
        if state.committed < len(self._case.versions):
            yield self._commit(state)
        yield from self._stream_steps(state)
        yield from self._zombie_steps(state)
        yield from self._rebuild_steps(state)

    def _commit(self, state: State) -> State:
        version = self._case.versions[state.committed]
        after = self._effects.commit(self._effects.world(state.world), version)
        return state._replace(world=self._effects.number(after), committed=state.committed + 1)

    def _stream_steps(self, state: State) -> Iterator[State]:
        if state.stream == IDLE:
            if state.settled < state.committed:
                settled = state.settled + self._acknowledges_first
                yield self._stream_at(state._replace(settled=settled), self._stream_root)
            return
        if state.crashes:
            yield state._replace(stream=IDLE, crashes=state.crashes - 1)
        yield self._stream_at(state, state.stream)

    def _stream_at(self, state: State, node: int) -> State:
        world, after = self._step(state.world, node)
        if after == DONE:
            settled = state.settled + (not self._acknowledges_first)
            return state._replace(world=world, stream=IDLE, settled=settled)
        return state._replace(world=world, stream=IDLE if after == FAILED else after)

    def _zombie_steps(self, state: State) -> Iterator[State]:
        if state.zombie == OVER:
            return
        node = state.zombie
        if state.zombie == NOT_BEGUN:
            # It took its message before the other stream had settled it.
            if not state.settled <= (self._case.zombie_at or 0) < state.committed:
                return
            node = self._stream_root
        world, after = self._step(state.world, node)
        yield state._replace(world=world, zombie=OVER if after in (DONE, FAILED) else after)

    def _rebuild_steps(self, state: State) -> Iterator[State]:
        if state.rebuild == OVER:
            return
        node = self._rebuild_root if state.rebuild == NOT_BEGUN else state.rebuild
        world, after = self._step(state.world, node)
        if after != FAILED:  # an attempt that a rival disturbed too often: an operator starts it again
            yield state._replace(world=world, rebuild=OVER if after == DONE else after)

    def _is_end(self, state: State) -> bool:
        all_done = state.settled == state.committed == len(self._case.versions)
        is_quiet = state.stream == IDLE and state.zombie in (NOT_BEGUN, OVER) and state.rebuild == OVER
        return all_done and is_quiet

    def _judge_end(self, state: State, found: Findings) -> None:
        found.ends += 1
        world = self._effects.world(state.world)
        for (snapshot, number, _), content in zip(world.generations, world.contents, strict=True):
            if not self._is_right(content, snapshot, world.document):
                points = None if content == ABSENT else self._effects.points(content)
                found.wrong_ends.append(f"{snapshot} {number}: {points}")

    def _is_right(self, content: int, snapshot: Snapshot, version: Version) -> bool:
        key = (content, snapshot, version)
        if key not in self._verdicts:
            is_there = content != ABSENT
            self._verdicts[key] = is_there and is_right(self._effects.points(content), snapshot, version)
        return self._verdicts[key]

    def _judge_reader(self, before: int, after: int, found: Findings) -> None:
        """A reader of the live vectors may see no document without chunks once it shows some."""
        if before == after or None in self._case.versions:
            return
        at = int(self._case.has_cleaned)
        earlier, later = (self._effects.world(number).contents[at] for number in (before, after))
        if earlier != later and self._shows_some(earlier) and not self._has_chunks(later):
            found.empty_reads.append(f"{self._effects.points(earlier)} -> {self._effects.points(later)}")

    def _has_chunks(self, content: int) -> bool:
        return any(not point.get("head") for point in self._effects.points(content).values())

    def _shows_some(self, content: int) -> bool:
        """Tell whether there are chunks, but for those that a late rival is about to take back.

        It puts them down before it learns that the document was refused and never had a good version.
        """
        heads = [point for point in self._effects.points(content).values() if point.get("head")]
        is_refused = any(head["quarantined"] and not head["source_hash"] for head in heads)
        return self._has_chunks(content) and not is_refused


def _keep_order(states: list[State]) -> None:
    """Leave them as they are."""


def is_right(points: Points, snapshot: Snapshot, version: Version) -> bool:
    """Tell whether a generation says what MongoDB says: the ten lines that all of it is about."""
    heads = [point for point in points.values() if point.get("head")]
    chunks = sorted(
        (point["chunk_index"], point["content"]) for point in points.values() if not point.get("head")
    )
    head = heads[0] if heads else {"deleted": True, "settled": True}
    if version is None:
        return not chunks and head["deleted"] and head["settled"]
    if version == POISON:
        good = [point["source_hash"] for point in points.values() if not point.get("head")]
        is_whole = snapshot is Snapshot.CLEANED or head["chunk_count"] == len(chunks)
        return bool(head["quarantined"]) and is_whole and set(good) <= {head["source_hash"]}
    if head["deleted"] or head["quarantined"] or not head["settled"]:
        return False
    if snapshot is Snapshot.CLEANED:
        return bool(head["cleaned_content"] == version)
    return head["chunk_count"] == len(chunks) and chunks == list(enumerate(version.split(" ")))
