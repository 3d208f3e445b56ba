from __future__ import annotations

import platform

import psutil
import pytest

from twin_assets.operations.memory import give_back_memory

# Above what Python itself pools, below what glibc maps apart.
SIZE, NUMBER, MB = 2_000, 100_000, 1_000_000


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc keeps what is freed between blocks")
def test_blocks_that_are_freed_between_others_are_given_back():
    blocks = [bytearray(SIZE) for _ in range(NUMBER)]
    kept = blocks[::100]
    del blocks
    before = psutil.Process().memory_info().rss
    give_back_memory()
    assert before - psutil.Process().memory_info().rss > 0.5 * SIZE * NUMBER
    assert len(kept) == NUMBER / 100
