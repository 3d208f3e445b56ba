"""People who write, edit and delete all the time, whatever becomes of the servers."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from itertools import count
from typing import Any

from pymongo.errors import PyMongoError

from twin_assets_tests.scenarios.documents import article, post, words
from twin_assets_tests.waiting import wait_until

DOCUMENTS = 20
PACE_S = 0.02
SOME_WRITES = 30
END_S = 60.0


@contextmanager
def writing(
    documents: Any, *, pace_s: float = PACE_S, may_write: Callable[[], bool] = lambda: True
) -> Iterator[list[int]]:
    """Write, edit and delete a few documents all the time; gives the numbers of the writes that returned.

    `may_write` holds people back while it is false, so that they never write more than a machine can take.
    """
    stop, written = threading.Event(), []

    def write(turn: int) -> None:
        number = turn % DOCUMENTS
        if turn % 7 == 3:
            documents.posts.delete_one({"_id": number})
            return
        text = words(10 + turn % 50, prefix=f"t{turn}x")
        documents.posts.replace_one({"_id": number}, post(number, text), upsert=True)
        documents.articles.replace_one({"_id": number}, article(number, text), upsert=True)

    def body() -> None:
        for turn in count():
            if stop.wait(pace_s):
                return
            if not may_write():
                continue
            with suppress(PyMongoError):  # the next turn tries again, as people do
                write(turn)
                written.append(turn)

    author = threading.Thread(target=body)
    author.start()
    try:
        yield written
    finally:
        stop.set()
        author.join(END_S)
    assert not author.is_alive()


def await_more(written: list[int], count: int = SOME_WRITES) -> None:
    """Wait until some more writes have returned."""
    before = len(written)
    wait_until(lambda: len(written) >= before + count, what="people write again", limit_s=60)
