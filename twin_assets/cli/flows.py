"""The two long runs in the foreground, for machines without Dagster and for looking closely."""

from __future__ import annotations

import signal
import threading
from functools import partial
from typing import Annotated, Any

import typer

from twin_assets.cli.console import say


def capture() -> None:
    """Publish MongoDB's changes to RabbitMQ, until Ctrl-C (Dagster's sensor does this by itself)."""
    from twin_assets.operations.capture import run_capture
    from twin_assets.telemetry.figures import capture_samples
    from twin_assets.telemetry.metrics_server import CAPTURE_OFFSET
    from twin_assets.telemetry.tracing import CAPTURE_SERVICE

    _run(run_capture, service=CAPTURE_SERVICE, offset=CAPTURE_OFFSET, samples_of=capture_samples)


def stream(
    replica: Annotated[int, typer.Option(help="which share of the queues, from 0")] = 0,
) -> None:
    """Apply the changes from RabbitMQ to Qdrant, until Ctrl-C (Dagster's sensor does this by itself)."""
    from twin_assets.stream.replica import run_stream
    from twin_assets.telemetry.figures import stream_samples
    from twin_assets.telemetry.metrics_server import FIRST_STREAM_OFFSET
    from twin_assets.telemetry.tracing import STREAM_SERVICE

    flow = partial(run_stream, replica=replica)
    offset = FIRST_STREAM_OFFSET + replica
    _run(flow, service=STREAM_SERVICE, offset=offset, samples_of=stream_samples)


def _run(flow: Any, *, service: str, offset: int, samples_of: Any) -> None:
    import logging

    from twin_assets.operations.twin import open_twin
    from twin_assets.settings import load_settings
    from twin_assets.telemetry.metrics_server import serving_metrics
    from twin_assets.telemetry.tracing import tracing

    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s %(message)s")
    logging.getLogger("httpx").setLevel(logging.WARNING)  # it tells of every request
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    settings = load_settings()
    metrics = serving_metrics(settings, offset=offset, samples_of=samples_of, report=_teller())
    traces = tracing(settings, service=service)
    with traces as tracer, open_twin(settings) as twin, metrics as tell:
        say("running; Ctrl-C ends it after the slice in hand")
        flow(twin, stop=stop, report=tell, tracer=tracer)


def _teller() -> Any:
    """Print progress when it differs from what was printed last."""
    last = ""

    def tell(progress: object) -> None:
        nonlocal last
        if str(progress) != last:
            last = str(progress)
            say(last)

    return tell
