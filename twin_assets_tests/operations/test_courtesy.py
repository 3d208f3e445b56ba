from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest

from twin_assets.operations import courtesy
from twin_assets.operations.courtesy import LOW, LOWEST, THIS_THREAD, Priority, give_way

Standing = tuple[int, int]


def standing() -> Standing:
    return os.sched_getscheduler(THIS_THREAD), os.getpriority(os.PRIO_PROCESS, THIS_THREAD)


def standing_of_a_new_thread() -> Standing:
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(standing).result()


def standings_after(priorities: Sequence[Priority]) -> list[Standing]:
    """Give way in a thread of its own; return how it and a thread that it begins stand after each."""

    def give_way_each() -> list[Standing]:
        found = []
        for priority in priorities:
            give_way(priority)
            found += [standing(), standing_of_a_new_thread()]
        return found

    with ThreadPoolExecutor(1) as pool:
        return pool.submit(give_way_each).result()


def test_a_thread_and_those_that_it_begins_give_way_and_all_others_do_not():
    before = standing()
    policy, niceness = before
    assert standings_after(["normal"]) == [before] * 2
    assert standings_after(["low", "low", "normal"]) == [(policy, max(niceness, LOW))] * 6
    assert standings_after(["idle", "normal"]) == [(os.SCHED_IDLE, niceness)] * 4
    assert standing() == before


def test_idle_is_the_lowest_niceness_where_the_system_knows_no_such_policy(monkeypatch: pytest.MonkeyPatch):
    policy, _ = standing()
    monkeypatch.delattr(courtesy.os, "SCHED_IDLE")
    assert standings_after(["idle", "low"]) == [(policy, LOWEST)] * 4
