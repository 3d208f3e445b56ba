"""Capture and stream at work for the length of a block, in step at both of its ends."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from twin_assets.operations.capture import run_capture
from twin_assets.operations.twin import Twin
from twin_assets.stream.replica import run_stream
from twin_assets_tests.scenarios.running import running
from twin_assets_tests.waiting import wait_until


@contextmanager
def flowing(twin: Twin) -> Iterator[None]:
    """Run capture and stream; both have caught up when the block begins, and when it ends."""
    settings = twin.settings
    with (
        running(lambda own, stop: run_capture(own, stop=stop, report=lambda _: None), settings),
        running(lambda own, stop: run_stream(own, stop=stop), settings),
    ):
        catch_up(twin)
        yield
        catch_up(twin)


def catch_up(twin: Twin) -> None:
    """Wait until everything is applied, and capture has nothing left to look over."""

    def is_in_step() -> bool:
        return (twin.meta.watermark(twin.settings.rabbitmq_queues) or 0) >= target

    for _ in range(2):
        target = twin.source.now()
        wait_until(is_in_step, what="the watermark passes", limit_s=180)
        wait_until(lambda: twin.meta.load_recheck() is None, what="everything is looked over", limit_s=180)
