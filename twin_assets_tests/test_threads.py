"""The tests' own process: each thread that is started runs, whatever measures or watches it."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator

import filelock  # noqa: F401 - adds an audit hook where it may
import pytest


@pytest.fixture
def hurried_and_traced() -> Iterator[None]:
    interval, tracer = sys.getswitchinterval(), threading.gettrace()
    threading.settrace(tracer or (lambda *event: None))  # as coverage does, where it is not on
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(interval)
    threading.settrace(tracer)


@pytest.mark.usefixtures("hurried_and_traced")
def test_each_of_many_threads_that_start_at_once_runs() -> None:
    ran: list[int] = []

    def start_some() -> None:
        for _ in range(30):
            threads = [threading.Thread(target=ran.append, args=[number]) for number in range(10)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()

    starters = [threading.Thread(target=start_some) for _ in range(6)]
    for starter in starters:
        starter.start()
    for starter in starters:
        starter.join()
    assert len(ran) == 6 * 30 * 10
