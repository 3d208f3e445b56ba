"""Flows as threads that end with a block."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from twin_assets.operations.twin import Twin, open_twin
from twin_assets.settings import Settings


@contextmanager
def running(flow: Callable[[Twin, threading.Event], None], settings: Settings) -> Iterator[threading.Event]:
    """Run a flow until the block ends; raise what ended it."""
    stop, failures = threading.Event(), []

    def body() -> None:
        try:
            with open_twin(settings) as own:
                flow(own, stop)
        except BaseException as error:
            failures.append(error)

    thread = threading.Thread(target=body, daemon=True)
    thread.start()
    try:
        yield stop
    finally:
        stop.set()
        thread.join(60)
        assert not thread.is_alive(), "the flow did not end within a minute of its stop"
    if failures:
        raise failures[0]
