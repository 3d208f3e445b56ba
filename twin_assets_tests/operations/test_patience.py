from __future__ import annotations

import threading

import pytest

from twin_assets.errors import DocumentRejected, StoreUnavailable
from twin_assets.operations.patience import Patience, Stopped


class StopAfter(threading.Event):
    """An event that nobody waits for in real time: set at the n-th wait, if ever."""

    def __init__(self, waits: int | None = None) -> None:
        super().__init__()
        self.pauses: list[float] = []
        self._waits = waits

    def wait(self, timeout: float | None = None) -> bool:
        self.pauses.append(timeout or 0.0)
        if self._waits is not None and len(self.pauses) >= self._waits:
            self.set()
        return self.is_set()


def failing(times: int):
    calls = iter(range(times + 1))

    def call() -> str:
        if next(calls) < times:
            raise StoreUnavailable("http://localhost")
        return "done"

    return call


def test_an_outage_is_waited_out_with_growing_pauses():
    stop = StopAfter()
    assert Patience(stop, seed=1)(failing(8)) == "done"
    assert len(stop.pauses) == 8
    assert stop.pauses[0] < 0.3
    assert 5 <= stop.pauses[-1] <= 10


def test_a_stop_ends_the_wait():
    with pytest.raises(Stopped):
        Patience(StopAfter(waits=2))(failing(100))


def test_it_says_what_it_waits_for_until_that_is_back():
    patience = Patience(StopAfter(waits=1))
    with pytest.raises(Stopped):
        patience(failing(5))
    assert patience.waiting_for == "Qdrant"
    assert patience(lambda: 1) == 1
    assert patience.waiting_for == ""


def test_what_is_no_outage_is_raised_at_once():
    def reject() -> None:
        raise DocumentRejected(stage="cleaning", key="posts/int:1", reason="empty")

    stop = StopAfter()
    with pytest.raises(DocumentRejected):
        Patience(stop)(reject)
    assert stop.pauses == []


def test_a_pause_is_waited_out_or_ends_with_a_stop():
    stop = StopAfter(waits=2)
    patience = Patience(stop)
    patience.pause(3.0)
    with pytest.raises(Stopped):
        patience.pause(5.0)
    assert stop.pauses == [3.0, 5.0]
