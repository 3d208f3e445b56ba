"""The jobs: two long runs, one verdict for CI, and rebuilds by data type."""

import threading
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from dagster import (
    AssetKey,
    AssetSelection,
    Config,
    OpExecutionContext,
    define_asset_job,
    in_process_executor,
    job,
    op,
)
from pydantic import Field

from twin_assets.defs.beating import beating
from twin_assets.defs.names import CAPTURE_SHARE, REPLICAS_TAG, SHARE_TAG, collection_key, stream_share
from twin_assets.defs.progress import capture_reporting, stream_reporting
from twin_assets.defs.resources import TwinResource
from twin_assets.defs.supervision import run_supervised
from twin_assets.defs.verification import verify
from twin_assets.errors import ConfigurationError
from twin_assets.models.kinds import DataType, Snapshot
from twin_assets.telemetry.figures import capture_samples, stream_samples
from twin_assets.telemetry.metrics_server import CAPTURE_OFFSET, FIRST_STREAM_OFFSET, serving_metrics
from twin_assets.telemetry.tracing import CAPTURE_SERVICE, STREAM_SERVICE, tracing

if TYPE_CHECKING:
    from twin_assets.operations.capture_progress import CaptureProgress
    from twin_assets.stream.steps import StreamProgress

CAPTURE_OP = "capture"
STREAM_OP = "stream"
VERIFY_OP = "verify"


class StreamConfig(Config):
    """Which share of the queues a stream run reads."""

    replica: int = Field(default=0, ge=0, description="Reads the queues i with i mod replicas = this number.")
    replicas: int = Field(
        default=0, ge=0, description="How many runs share the queues; 0: TWIN_STREAM_REPLICAS."
    )


@op(
    name=CAPTURE_OP,
    description="Publishes which documents changed in MongoDB to RabbitMQ, until it is stopped.",
)
def capture_op(context: OpExecutionContext, twin: TwinResource) -> None:
    settings = twin.settings()

    def capture(stop: threading.Event, report: Callable[["CaptureProgress"], None]) -> None:
        from twin_assets.operations.capture import run_capture

        metrics = serving_metrics(settings, offset=CAPTURE_OFFSET, samples_of=capture_samples, report=report)
        traces = tracing(settings, service=CAPTURE_SERVICE)
        with traces as tracer, twin.open(settings) as opened, metrics as tell:
            run_capture(opened, stop=stop, report=tell, tracer=tracer)

    run_supervised(context, capture, settings=settings, reporting=capture_reporting(twin, settings))


@op(name=STREAM_OP, description="Brings every change from RabbitMQ into Qdrant, until it is stopped.")
def stream_op(context: OpExecutionContext, config: StreamConfig, twin: TwinResource) -> None:
    settings = twin.settings()
    if config.replicas:
        settings = settings.model_copy(update={"stream_replicas": config.replicas})
    if config.replica >= settings.stream_replicas:
        raise ConfigurationError(
            f"replica {config.replica} is one too many: {settings.stream_replicas} share the queues, counted "
            "from 0"
        )
    # A run that a person launched carries the tags of no sensor.
    tags = {SHARE_TAG: stream_share(config.replica), REPLICAS_TAG: str(settings.stream_replicas)}
    context.instance.add_run_tags(context.run_id, tags)

    def stream(stop: threading.Event, report: Callable[["StreamProgress"], None]) -> None:
        from twin_assets.stream.replica import run_stream

        offset = FIRST_STREAM_OFFSET + config.replica
        metrics = serving_metrics(settings, offset=offset, samples_of=stream_samples, report=report)
        traces = tracing(settings, service=STREAM_SERVICE)
        with traces as tracer, twin.open(settings) as opened, metrics as tell:
            run_stream(opened, replica=config.replica, stop=stop, report=tell, tracer=tracer)

    run_supervised(context, stream, settings=settings, reporting=stream_reporting(twin, settings))


class VerifyConfig(Config):
    """How much of everything the checks look at."""

    since_last: bool = Field(
        default=False,
        description="Only what changed since the last time, and a slice of the rest; off: everything.",
    )


@op(name=VERIFY_OP, description="Evaluates every check on every collection, and fails when one of them does.")
def verify_op(context: OpExecutionContext, config: VerifyConfig, twin: TwinResource) -> None:
    from twin_assets.operations.checks import evaluate_checks

    settings = twin.settings()
    with beating(context.instance, context.run_id, settings), twin.open(settings) as opened:
        results = evaluate_checks(opened, since_last=config.since_last)
    verify(context, results)


@job(
    executor_def=in_process_executor,
    tags={SHARE_TAG: CAPTURE_SHARE},
    description="MongoDB to RabbitMQ, until it is stopped. `keep_capturing` restarts it.",
)
def capture_changes() -> None:
    capture_op()


@job(
    executor_def=in_process_executor,
    tags={SHARE_TAG: stream_share(0)},
    description="RabbitMQ to Qdrant, until it is stopped. `keep_streaming` restarts it.",
)
def stream_features() -> None:
    stream_op()


@job(
    executor_def=in_process_executor,
    description="Is Qdrant in sync with MongoDB? Fails when a check does: exit code 1 on the command line.",
)
def verify_features() -> None:
    verify_op()


def _collections(data_types: Iterable[DataType]) -> list[AssetKey]:
    return [collection_key(snapshot, data_type) for data_type in data_types for snapshot in Snapshot]


rebuild_all = define_asset_job(
    "rebuild_all",
    selection=AssetSelection.assets(*_collections(DataType)),
    description="Builds all six collections anew from MongoDB, while readers keep the old ones.",
)
rebuild_by_type = [
    define_asset_job(
        f"rebuild_{data_type.value}",
        selection=AssetSelection.assets(*_collections([data_type])),
        description=f"Builds both collections of {data_type.value} anew, while readers keep the old ones.",
    )
    for data_type in DataType
]
