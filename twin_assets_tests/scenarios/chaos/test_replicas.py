"""Replicas of the stream join and leave while people write: nothing is lost, nobody reads back in time."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

import pytest

from twin_assets.models.kinds import DataType, Snapshot
from twin_assets_tests.scenarios.chaos.pauses import LIMIT_S
from twin_assets_tests.scenarios.people import DOCUMENTS, await_more, writing
from twin_assets_tests.scenarios.processes import END_S, LongRun, long_run
from twin_assets_tests.waiting import wait_until

pytestmark = [pytest.mark.servers, pytest.mark.slow, pytest.mark.chaos, pytest.mark.nightly]

POST = DataType.POSTS
READY = "StreamProgress("
WRITTEN = r"documents=(\d+)"
TURN = re.compile(r"\bt(\d+)x")


def test_replicas_join_and_leave_under_load_and_nobody_goes_back_in_time(
    twin, settings, documents, capturing, tally
):
    with capturing(), reading_all_the_time(twin) as reader, ExitStack() as stack:

        def replace(old: list[LongRun], number: int, *, kill: int) -> list[LongRun]:
            """Have replicas stand in line, then the old ones leave: the first `kill` of them killed."""
            new = join(stack, settings, number)
            await_all(new, lambda run: READY in run.said(), what="stands in line")
            tally.fault(len(old))
            for index, run in enumerate(old):
                run.kill() if index < kill else run.end()
            await_all(new, lambda run: run.last_number(WRITTEN), what="writes")
            await_more(written)
            return new

        with writing(documents) as written:
            replicas = replace([], 1, kill=0)
            replicas = replace(replicas, 2, kill=0)
            replicas = replace(replicas, 4, kill=1)
            (last,) = replace(replicas, 1, kill=4)
            wait_until(reader.has_seen_all, what="every post is read", limit_s=LIMIT_S)
        tally.settle()
        last.end()
    assert reader.went_back == []


def join(stack: ExitStack, settings, number: int) -> list[LongRun]:
    """Start a number of replicas that share the queues; those of another number may still be at work."""
    shared = settings.model_copy(update={"stream_replicas": number})
    return [
        stack.enter_context(long_run(shared, "stream", "--replica", str(replica)))
        for replica in range(number)
    ]


def await_all(replicas: list[LongRun], condition: Callable[[LongRun], object], *, what: str) -> None:
    """Wait until the condition holds for each."""
    for run in replicas:
        wait_until(
            lambda run=run: condition(run), what=f"a replica {what}: {run.said()[-2000:]}", limit_s=LIMIT_S
        )


class Reader:
    """Reads every post again and again, and notes what is older than what it has read before."""

    def __init__(self, twin) -> None:
        self.went_back: list[str] = []
        self._twin = twin
        self._newest = dict.fromkeys(range(DOCUMENTS), -1)

    def has_seen_all(self) -> bool:
        return min(self._newest.values()) >= 0

    def read_all(self) -> None:
        for number, newest in self._newest.items():
            live = self._twin.live_generation(Snapshot.VECTOR, POST)
            texts = self._twin.store.chunk_texts(live.collection, f"int:{number}") if live else []
            turn = max((int(turn) for text in texts for turn in TURN.findall(text)), default=newest)
            if turn < newest:
                self.went_back.append(f"int:{number} was at turn {newest} and is at {turn}")
            self._newest[number] = turn


@contextmanager
def reading_all_the_time(twin) -> Iterator[Reader]:
    """Have a reader at work."""
    stop, reader = threading.Event(), Reader(twin)

    def body() -> None:
        while not stop.is_set():
            reader.read_all()

    thread = threading.Thread(target=body)
    thread.start()
    try:
        yield reader
    finally:
        stop.set()
        thread.join(END_S)
    assert not thread.is_alive()
