"""Capture and stream in threads of the benchmark's own process."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from benchmarks.world import wait_for
from twin_assets.operations.twin import Twin, open_twin
from twin_assets.settings import Settings

Flow = Callable[[Twin, threading.Event], None]


class Flows:
    """What runs, and what ended it before its time."""

    def __init__(self) -> None:
        self.failures: list[BaseException] = []

    def wait_applied(self, twin: Twin, target: int, *, pause_s: float = 0.05) -> None:
        """Wait until every change up to a revision is applied; raise what ended a flow instead."""

        def is_applied() -> bool:
            if self.failures:
                raise self.failures[0]
            return (twin.meta.watermark(twin.settings.rabbitmq_queues) or 0) >= target

        wait_for(is_applied, "all is applied", pause_s=pause_s)


@contextmanager
def running_flows(settings: Settings, *flows: Flow) -> Iterator[Flows]:
    """Run flows, each with a twin of its own, until the block ends."""
    found, stop = Flows(), threading.Event()

    def run(flow: Flow) -> None:
        try:
            with open_twin(settings) as own:
                flow(own, stop)
        except BaseException as error:  # noqa: BLE001 - handed on to whoever waits
            found.failures.append(error)
            stop.set()

    threads = [threading.Thread(target=run, args=[flow]) for flow in flows]
    for thread in threads:
        thread.start()
    try:
        yield found
    finally:
        stop.set()
        for thread in threads:
            thread.join()
