"""Traces by OpenTelemetry, one for each change: from its commit in MongoDB until it is searchable.

Off unless TWIN_TRACES_URL is set. A trace names documents by their keys and never quotes them. A collector
that is away costs its traces and nothing else.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from twin_assets.errors import ConfigurationError
from twin_assets.models.change import Change
from twin_assets.operations.tracing import NO_TRACES, Applied, Headers, NoTraces, Step
from twin_assets.settings import without_credentials

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
    from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult
    from opentelemetry.trace import Span

    from twin_assets.settings import Settings

SENT_HEADER = "twin-sent-ns"
PARENT_HEADER = "traceparent"
EXPORT_TIMEOUT_S = 5.0
# At its end a run waits so long for a collector; then what is left is lost.
FAREWELL_S = 3.0
# A round of the stream may have 512 changes, of some ten spans each, which are told of at once.
BUFFERED_SPANS = 16_384
BATCH_SPANS = 2_048
CAPTURE_SERVICE = "twin-capture"
STREAM_SERVICE = "twin-stream"

log = logging.getLogger(__name__)


class ChangeTracer:
    """Makes the spans of capture and of the stream. Thread-safe."""

    def __init__(self, provider: TracerProvider) -> None:
        from opentelemetry import trace  # noqa: PLC0415 - only who wants traces needs it
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator  # noqa: PLC0415 - the same

        self._trace = trace
        self._tracer = provider.get_tracer("twin_assets", version("twin_assets"))
        self._propagator = TraceContextTextMapPropagator()

    @contextmanager
    def sending(
        self, changes: Sequence[Change], committed_at: Mapping[str, datetime]
    ) -> Iterator[Mapping[str, Headers]]:
        """Trace changes from commit to confirmation; yield the headers of those that are sampled."""
        sent_ns = time.time_ns()
        spans: list[Span] = []
        headers: dict[str, Headers] = {}
        for change in changes:
            span = self._tracer.start_span(
                "capture",
                context=self._trace.set_span_in_context(self._trace.INVALID_SPAN),
                kind=self._trace.SpanKind.PRODUCER,
                attributes=_facts(change),
                start_time=min(_ns(committed_at[change.key]), sent_ns)
                if change.key in committed_at
                else sent_ns,
            )
            if span.get_span_context().trace_flags.sampled:
                spans.append(span)
                headers[change.key] = self._headers(span, sent_ns)
        try:
            yield headers
        except BaseException as error:
            _fail(spans, type(error).__name__)
            raise
        finally:
            self._end_sent(spans, sent_ns)

    def applied(self, changes: Sequence[Applied], steps: Sequence[Step]) -> None:
        """Add what happened to changes in their queue and in the stream."""
        ended_ns = time.time_ns()
        for each in changes:
            parent = self._propagator.extract(each.headers)
            if not self._trace.get_current_span(parent).get_span_context().is_valid:
                continue
            self._add("queue", parent, _sent_ns(each), each.taken_ns)
            span = self._tracer.start_span(
                "apply",
                context=parent,
                kind=self._trace.SpanKind.CONSUMER,
                attributes=_facts(each.change)
                | {"twin.round.documents": each.round_documents, "twin.round.embedded": each.round_embedded},
                start_time=each.taken_ns,
            )
            inside = self._trace.set_span_in_context(span)
            for step in steps:
                self._add(step.name, inside, step.began_ns, step.ended_ns)
            if each.rejected_while:
                _fail([span], f"rejected while {each.rejected_while}")
            span.end(ended_ns)

    def _headers(self, span: Span, sent_ns: int) -> Headers:
        carrier: dict[str, str] = {}
        self._propagator.inject(carrier, self._trace.set_span_in_context(span))
        return {PARENT_HEADER: carrier[PARENT_HEADER], SENT_HEADER: str(sent_ns)}

    def _end_sent(self, spans: Sequence[Span], sent_ns: int) -> None:
        confirmed_ns = time.time_ns()
        for span in spans:
            self._add("publish", self._trace.set_span_in_context(span), sent_ns, confirmed_ns)
            span.end(confirmed_ns)

    def _add(self, name: str, parent: Any, began_ns: int, ended_ns: int) -> None:
        self._tracer.start_span(name, context=parent, start_time=began_ns).end(max(began_ns, ended_ns))


class OutageTeller:
    """Hands spans on to an exporter, and says once when they are lost, and once when they are taken again."""

    def __init__(self, exporter: SpanExporter, place: str) -> None:
        self._exporter = exporter
        self._place = place
        self._is_away = False

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Send spans; what cannot be sent is lost."""
        result = self._exporter.export(spans)
        is_away = result.name != "SUCCESS"
        if is_away is not self._is_away:
            self._is_away = is_away
            log.warning(
                "%s takes no traces; they are lost until it does, and nothing else is" if is_away
                else "%s takes traces again",
                self._place,
            )  # fmt: skip
        return result

    def shutdown(self) -> None:
        """Close the connection."""
        self._exporter.shutdown()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Send what is buffered."""
        return self._exporter.force_flush(timeout_millis)


@contextmanager
def tracing(settings: Settings, *, service: str) -> Iterator[ChangeTracer | NoTraces]:
    """Yield a tracer that sends to TWIN_TRACES_URL, or one that does nothing. The rest is sent at the end.

    Raises ConfigurationError where OpenTelemetry is not installed.
    """
    if not settings.traces_url:
        yield NO_TRACES
        return
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter  # noqa: PLC0415 - the same
    except ImportError as error:
        raise ConfigurationError(
            "TWIN_TRACES_URL is set, but OpenTelemetry is not installed: pip install 'twin_assets[traces]'"
        ) from error
    url = settings.traces_url.get_secret_value()
    exporter = OutageTeller(
        OTLPSpanExporter(endpoint=url, timeout=EXPORT_TIMEOUT_S), without_credentials(url)
    )
    # The library tells of every attempt and of every span; one line for an outage says as much.
    for name in (OTLPSpanExporter.__module__, "opentelemetry.sdk._shared_internal"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    provider = _provider(exporter, settings.traces_ratio, service)
    try:
        yield ChangeTracer(provider)
    finally:
        # The library itself waits up to half a minute for a request that nobody answers.
        farewell = threading.Thread(target=provider.shutdown, name="last traces", daemon=True)
        farewell.start()
        farewell.join(FAREWELL_S)
        if farewell.is_alive():
            exporter.shutdown()


def _provider(exporter: OutageTeller, ratio: float, service: str) -> TracerProvider:
    from opentelemetry.sdk.resources import SERVICE_NAME, SERVICE_VERSION, Resource  # noqa: PLC0415 - the same
    from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415 - the same
    from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415 - the same
    from opentelemetry.sdk.trace.sampling import ParentBasedTraceIdRatio  # noqa: PLC0415 - the same

    resource = Resource.create({SERVICE_NAME: service, SERVICE_VERSION: version("twin_assets")})
    provider = TracerProvider(
        sampler=ParentBasedTraceIdRatio(ratio), resource=resource, shutdown_on_exit=False
    )
    processor = BatchSpanProcessor(
        exporter,  # type: ignore[arg-type] # the base class would be imported for all
        max_queue_size=BUFFERED_SPANS,
        max_export_batch_size=BATCH_SPANS,
    )
    provider.add_span_processor(processor)
    return provider


def _facts(change: Change) -> dict[str, Any]:
    return {
        "messaging.system": "rabbitmq",
        "twin.document": change.key,
        "twin.revision": change.revision,
        "twin.hint": change.hint.value,
    }


def _fail(spans: Sequence[Span], reason: str) -> None:
    from opentelemetry.trace import Status, StatusCode  # noqa: PLC0415 - the same

    for span in spans:
        span.set_status(Status(StatusCode.ERROR, reason))


def _sent_ns(each: Applied) -> int:
    """Return when a change was sent; a clock that is behind the sender's makes the wait nothing."""
    text = each.headers.get(SENT_HEADER, "")
    return min(int(text), each.taken_ns) if text.isascii() and text.isdigit() else each.taken_ns


def _ns(moment: datetime) -> int:
    return round(moment.timestamp() * 1e9)
