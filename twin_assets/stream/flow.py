"""The dataflow, on one page: queues, fetch, clean, chunk, plan, embed, Qdrant."""

from __future__ import annotations

import bytewax.operators as op
from bytewax.dataflow import Dataflow
from bytewax.errors import BytewaxRuntimeError
from bytewax.testing import run_main

from twin_assets.stream.sink import FeatureSink
from twin_assets.stream.source import ChangeSource
from twin_assets.stream.steps import StreamSteps


def build_flow(source: ChangeSource, steps: StreamSteps) -> Dataflow:
    """Return the dataflow of one replica. Run it with one worker, so that batches stay whole."""
    flow = Dataflow("twin_stream")
    deliveries = op.input("queues", flow, source)
    rounds = op.flat_map_batch("read_changes", deliveries, steps.read_changes)
    fetched = op.flat_map_batch("fetch", rounds, steps.fetch)
    cleaned = op.flat_map_batch("clean", fetched, steps.clean)
    chunked = op.flat_map_batch("chunk", cleaned, steps.chunk)
    planned = op.flat_map_batch("plan", chunked, steps.plan)
    embedded = op.flat_map_batch("embed", planned, steps.embed)
    op.output("write", embedded, FeatureSink(steps))
    return flow


def run_flow(flow: Dataflow) -> None:
    """Run a dataflow in this thread; raise what a step raised, without the layers that Bytewax adds."""
    try:
        run_main(flow)  # type: ignore[no-untyped-call] # bytewax publishes no hints
    except BytewaxRuntimeError as error:
        inner: BaseException = error
        while isinstance(inner, BytewaxRuntimeError) and inner.__cause__ is not None:
            inner = inner.__cause__
        raise inner from None
