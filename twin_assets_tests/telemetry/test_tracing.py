"""The spans of single changes, and how they are sent, without servers of the flow."""

from __future__ import annotations

import socket
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
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
from twin_assets.settings import Settings, load_settings
from twin_assets.telemetry import tracing as module
from twin_assets.telemetry.tracing import PARENT_HEADER, SENT_HEADER, ChangeTracer, tracing
from twin_assets_tests.telemetry.collector import collecting

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


def traces_to(url: str) -> Settings:
    return load_settings(_env_file=None, traces_url=url)


def test_a_round_of_the_most_changes_loses_no_span(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "FAREWELL_S", 60.0)  # it is about what is kept until then
    changes = [Change(type=DataType.POSTS, entry=f"int:{number}", revision=7) for number in range(512)]
    steps = [Step(f"step {number}", 1, 2) for number in range(8)]
    with collecting() as collector:
        with tracing(traces_to(collector.url), service="any") as tracer:
            with tracer.sending(changes, {}) as headers:
                pass
            tracer.applied(
                [replace(applied(dict(headers[each.key])), change=each) for each in changes], steps
            )
        names = Counter(span.name for span in collector.spans)
    wanted = ("capture", "publish", "queue", "apply", *(step.name for step in steps))
    assert names == dict.fromkeys(wanted, len(changes))


@pytest.mark.timeout(20)
def test_a_collector_that_never_answers_does_not_hold_up_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "FAREWELL_S", 2.0)
    monkeypatch.setattr(module, "EXPORT_TIMEOUT_S", 3600.0)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/v1/traces"
        with tracing(traces_to(url), service="any") as tracer, tracer.sending([CHANGE], {}):
            pass
        silent.settimeout(10)
        asked, _ = silent.accept()
        with asked:
            assert asked.recv(4) == b"POST"
