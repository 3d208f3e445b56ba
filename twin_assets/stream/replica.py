"""One run of the stream: gets everything ready, runs the dataflow until a stop, leaves in order."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from contextlib import suppress
from functools import partial

from twin_assets.broker.consumer import ChangeConsumer
from twin_assets.errors import ClusterTimeWentBack, ConfigurationError, ModelUnavailable
from twin_assets.models.generation import GenerationStatus
from twin_assets.models.kinds import DataType, Snapshot
from twin_assets.models.recipe import VectorRecipe
from twin_assets.operations.bootstrap import ensure_generations, recipe_warnings
from twin_assets.operations.context import StepContext
from twin_assets.operations.patience import Patience, Stopped
from twin_assets.operations.processors import Processors
from twin_assets.operations.tracing import NO_TRACES, StreamTracer
from twin_assets.operations.twin import Twin
from twin_assets.processing.encoder import load_encoder
from twin_assets.processing.encoder_options import EncoderOptions
from twin_assets.stream.flow import build_flow, run_flow
from twin_assets.stream.intake import Intake
from twin_assets.stream.source import ChangeSource
from twin_assets.stream.steps import StreamProgress, StreamSteps

FLUSH_S = 5.0
REGISTRATION_LIMIT_S = 60.0

log = logging.getLogger(__name__)


def run_stream(
    twin: Twin,
    *,
    replica: int = 0,
    stop: threading.Event,
    report: Callable[[StreamProgress], None] = lambda _: None,
    tracer: StreamTracer = NO_TRACES,
) -> None:
    """Apply changes until `stop` is set. Waits for servers; raises what is nobody's outage.

    A replica consumes the queues whose index is congruent to its own number.
    """
    patience = Patience(stop)
    with suppress(Stopped):
        _prepare(twin, patience, stop=stop, is_first=replica == 0)
        processors = Processors.of(twin.settings)
        context = StepContext(twin, processors, patience, twin.publisher)
        _consume(context, replica, stop=stop, report=report, tracer=tracer)
    log.info("the stream has stopped")


def _prepare(twin: Twin, patience: Patience, *, stop: threading.Event, is_first: bool) -> None:
    settings = twin.settings
    patience(partial(_check_time, twin))
    patience(partial(twin.meta.check_queues, settings.rabbitmq_queues))
    if is_first:
        for generation in patience(partial(ensure_generations, twin, stop=stop)):
            log.info("created %s", generation.collection)
    else:
        _await_generations(twin, patience, stop=stop)
    for warning in patience(partial(recipe_warnings, twin)):
        log.warning(warning)
    _load_models(twin, patience)
    patience(lambda: twin.publisher)


def _check_time(twin: Twin) -> None:
    """Raise ClusterTimeWentBack where MongoDB is older than what was applied; no message may ever tell."""
    newest, now = twin.meta.newest_applied(), twin.source.now()
    if newest is not None and now < newest:
        raise ClusterTimeWentBack(stored=newest, now=now)


def _await_generations(twin: Twin, patience: Patience, *, stop: threading.Event) -> None:
    """Leave the first generations to replica 0."""
    wanted = len(DataType) * len(Snapshot)
    waited_s = 0.0
    while True:
        patience.check()
        known = patience(twin.meta.generations)
        if sum(found.status is GenerationStatus.LIVE for found in known) == wanted:
            return
        if waited_s > REGISTRATION_LIMIT_S:
            raise ConfigurationError("no live generations after a minute; start the stream's replica 0 first")
        stop.wait(0.5)
        waited_s += 0.5


def _load_models(twin: Twin, patience: Patience) -> None:
    """Load every model that a generation needs; let go of a spare generation whose model is gone."""
    for generation in patience(twin.meta.generations):
        if not isinstance(generation.recipe, VectorRecipe):
            continue
        try:
            load_encoder(generation.recipe, EncoderOptions.of(twin.settings))
        except ModelUnavailable as error:
            if generation.status is GenerationStatus.LIVE:
                raise
            retire = partial(
                twin.meta.set_status, generation.collection, GenerationStatus.RETIRED, str(error)
            )
            patience(retire)
            # It is fed no more, so it may not keep what will be deleted.
            patience(partial(twin.collections.drop, generation.collection))
            log.warning("%s is fed no more: %s", generation.collection, error)


def _consume(
    context: StepContext,
    replica: int,
    *,
    stop: threading.Event,
    report: Callable[[StreamProgress], None],
    tracer: StreamTracer,
) -> None:
    settings = context.twin.settings
    queues = range(replica, settings.rabbitmq_queues, settings.stream_replicas)
    if not queues:
        raise ConfigurationError(
            f"replica {replica} has no queue: TWIN_STREAM_REPLICAS is more than TWIN_RABBITMQ_QUEUES"
        )
    url = settings.require_url("rabbitmq_url")
    consumer = ChangeConsumer(
        url, queues=settings.rabbitmq_queues, indexes=queues, prefetch=settings.rabbitmq_prefetch
    )
    with consumer:
        intake = Intake(consumer, queues=queues)
        steps = StreamSteps(context, intake, report=report, tracer=tracer)
        source = ChangeSource(intake, stop=stop, look=lambda: steps.heed_broker(consumer.unreachable))
        report(StreamProgress(steps.counts))
        try:
            run_flow(build_flow(source, steps))
        except Stopped:
            steps.acquit()
            raise
        consumer.flush(FLUSH_S)
