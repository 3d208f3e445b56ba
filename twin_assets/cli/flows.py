"""The two long runs in the foreground, for machines without Dagster and for looking closely."""

from __future__ import annotations

import signal
import threading
from typing import Annotated, Any

import typer

from twin_assets.cli.console import say


def capture() -> None:
    """Publish MongoDB's changes to RabbitMQ, until Ctrl-C (Dagster's sensor does this by itself)."""
    from twin_assets.operations.capture import run_capture

    _run(lambda twin, stop: run_capture(twin, stop=stop, report=_teller()))


def stream(
    replica: Annotated[int, typer.Option(help="which share of the queues, from 0")] = 0,
) -> None:
    """Apply the changes from RabbitMQ to Qdrant, until Ctrl-C (Dagster's sensor does this by itself)."""
    from twin_assets.stream.replica import run_stream

    _run(lambda twin, stop: run_stream(twin, replica=replica, stop=stop, report=_teller()))


def _run(flow: Any) -> None:
    import logging

    from twin_assets.operations.twin import open_twin
    from twin_assets.settings import load_settings

    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s %(message)s")
    logging.getLogger("httpx").setLevel(logging.WARNING)  # it tells of every request
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    with open_twin(load_settings()) as twin:
        say("running; Ctrl-C ends it after the slice in hand")
        flow(twin, stop)


def _teller() -> Any:
    """Print progress when it differs from what was printed last."""
    last = ""

    def tell(progress: object) -> None:
        nonlocal last
        if str(progress) != last:
            last = str(progress)
            say(last)

    return tell
