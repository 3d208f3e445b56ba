"""The spans of single changes, without servers."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import StatusCode

from twin_assets.errors import BrokerUnavailable
from twin_assets.models.change import Change
from twin_assets.models.kinds import DataType
from twin_assets.operations.tracing import Applied, Step
from twin_assets.settings import load_settings
from twin_assets.telemetry.tracing import PARENT_HEADER, SENT_HEADER, ChangeTracer, tracing

CHANGE = Change(type=DataType.POSTS, entry="int:1", revision=7)
NOW = datetime(2026, 11, 28, tzinfo=UTC)


@pytest.fixture
def sent() -> InMemorySpanExporter:
    return InMemorySpanExporter()


@pytest.fixture
def tracer(sent: InMemorySpanExporter) -> Iterator[ChangeTracer]:
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(sent))
    yield ChangeTracer(provider)
    provider.shutdown()


def applied(headers: dict[str, str], *, taken_ns: int = 10**18) -> Applied:
    return Applied(CHANGE, headers, taken_ns, rejected_while="", round_documents=1, round_embedded=0)


def test_what_could_not_be_sent_is_an_error(tracer: ChangeTracer, sent: InMemorySpanExporter) -> None:
    with pytest.raises(BrokerUnavailable), tracer.sending([CHANGE], {CHANGE.key: NOW}):
        raise BrokerUnavailable("amqp://here")
    [capture] = [span for span in sent.get_finished_spans() if span.name == "capture"]
    assert (capture.status.status_code, capture.status.description) == (StatusCode.ERROR, "BrokerUnavailable")


def test_a_commit_by_a_clock_that_is_ahead_ends_after_it_begins(
    tracer: ChangeTracer, sent: InMemorySpanExporter
) -> None:
    with tracer.sending([CHANGE], {CHANGE.key: datetime.now(UTC) + timedelta(hours=1)}):
        pass
    assert all(span.start_time <= span.end_time for span in sent.get_finished_spans())


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"from": "somebody else"},
        {PARENT_HEADER: "", SENT_HEADER: "1"},
        {PARENT_HEADER: "00-zz-zz-01"},
        {PARENT_HEADER: "00-" + "0" * 32 + "-" + "0" * 16 + "-01"},
    ],
)
def test_headers_of_no_trace_are_no_trace(
    tracer: ChangeTracer, sent: InMemorySpanExporter, headers: dict[str, str]
) -> None:
    tracer.applied([applied(headers)], [Step("embed", 1, 2)])
    assert sent.get_finished_spans() == ()


@pytest.mark.parametrize("moment", ["", "soon", "-1", "²", "9" * 30])
def test_a_moment_that_cannot_be_is_the_moment_of_the_taking(
    tracer: ChangeTracer, sent: InMemorySpanExporter, moment: str
) -> None:
    parent = "00-" + "1" * 32 + "-" + "2" * 16 + "-01"
    tracer.applied([applied({PARENT_HEADER: parent, SENT_HEADER: moment})], [])
    [queue] = [span for span in sent.get_finished_spans() if span.name == "queue"]
    assert queue.start_time == queue.end_time == 10**18


def test_a_second_attempt_is_a_second_apply_of_the_same_trace(
    tracer: ChangeTracer, sent: InMemorySpanExporter
) -> None:
    with tracer.sending([CHANGE], {CHANGE.key: NOW}) as headers:
        pass
    for _ in range(2):
        tracer.applied([applied(dict(headers[CHANGE.key]))], [Step("embed", 1, 2)])
    spans = sent.get_finished_spans()
    assert [span.name for span in spans].count("apply") == 2
    assert len({span.context.trace_id for span in spans}) == 1


def test_without_a_url_nothing_is_traced() -> None:
    with tracing(load_settings(_env_file=None), service="any") as tracer:
        with tracer.sending([CHANGE], {}) as headers:
            assert headers == {}
        assert tracer.applied([applied({})], []) is None
