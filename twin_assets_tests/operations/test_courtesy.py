from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor

from twin_assets.operations.courtesy import THIS_THREAD, give_way


def niceness() -> int:
    return os.getpriority(os.PRIO_PROCESS, THIS_THREAD)


def niceness_of_a_new_thread() -> int:
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(niceness).result()


def test_a_thread_and_those_that_it_begins_give_way_and_all_others_do_not():
    def give_way_twice() -> list[int]:
        found = []
        for wanted in (0, before + 3, before + 1):
            give_way(wanted)
            found += [niceness(), niceness_of_a_new_thread()]
        return found

    before = niceness()
    with ThreadPoolExecutor(1) as pool:
        given = pool.submit(give_way_twice).result()
    assert given == [before, before] + [before + 3] * 4
    assert niceness() == before
