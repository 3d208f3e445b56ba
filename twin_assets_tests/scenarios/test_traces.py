"""Traces on real servers: one for each change, from its commit until it is searchable."""

from __future__ import annotations

import logging
import time
from contextlib import contextmanager

import pytest
from pydantic import SecretStr

from twin_assets.models.kinds import DataType
from twin_assets.operations.capture import run_capture
from twin_assets.stream.replica import run_stream
from twin_assets.telemetry.tracing import CAPTURE_SERVICE, STREAM_SERVICE, tracing
from twin_assets_tests.free_ports import free_port
from twin_assets_tests.scenarios.documents import post, words
from twin_assets_tests.scenarios.running import running
from twin_assets_tests.telemetry.collector import collecting
from twin_assets_tests.waiting import wait_until

pytestmark = pytest.mark.servers

STEPS = ["fetch", "clean", "chunk", "plan", "embed", "write"]
SECRET = "unmistakablewords"


@contextmanager
def traced_flow(settings, url, *, ratio=1.0):
    """Run capture and stream; both send their traces on while they run, and the rest at their end."""
    told = settings.model_copy(update={"traces_url": SecretStr(url), "traces_ratio": ratio})

    def capture(own, stop) -> None:
        with tracing(told, service=CAPTURE_SERVICE) as tracer:
            run_capture(own, stop=stop, report=lambda _: None, tracer=tracer)

    def stream(own, stop) -> None:
        with tracing(told, service=STREAM_SERVICE) as tracer:
            run_stream(own, stop=stop, tracer=tracer)

    with running(capture, settings), running(stream, settings):
        yield


def test_a_change_has_one_trace_from_its_commit_until_it_is_searchable(
    settings, documents, in_step, chunk_texts
):
    with collecting() as collector, traced_flow(settings, collector.url):
        in_step()
        before_ns = time.time_ns()
        documents.posts.insert_one(post(1, f"{SECRET} {words(30)}"))
        wait_until(lambda: chunk_texts(DataType.POSTS, "int:1"), what="it is searchable")
        in_step()
        after_ns = time.time_ns()
        trace = wait_until(lambda: collector.whole_trace_of("posts/int:1"), what="its trace arrives")
    assert trace.keys() == {"capture", "publish", "queue", "apply", *STEPS}
    capture, apply = trace["capture"], trace["apply"]
    assert {capture.service, trace["publish"].service} == {CAPTURE_SERVICE}
    assert {trace[name].service for name in ("queue", "apply", *STEPS)} == {STREAM_SERVICE}
    assert capture.parent_id == ""
    assert {trace[name].parent_id for name in ("publish", "queue", "apply")} == {capture.span_id}
    assert {trace[name].parent_id for name in STEPS} == {apply.span_id}
    # MongoDB's wall clock counts milliseconds.
    assert before_ns - 1_000_000 <= capture.began_ns <= trace["publish"].began_ns <= capture.ended_ns
    assert trace["queue"].began_ns == trace["publish"].began_ns
    assert trace["queue"].ended_ns == apply.began_ns
    moments = [
        apply.began_ns,
        *(each for name in STEPS for each in (trace[name].began_ns, trace[name].ended_ns)),
    ]
    assert moments == sorted(moments)
    assert moments[-1] <= apply.ended_ns <= after_ns
    assert apply.facts["twin.round.embedded"] >= 1
    assert apply.facts["twin.document"] == "posts/int:1"
    assert not [body for body in collector.bodies if SECRET.encode() in body]


def test_a_refused_document_says_so_in_its_trace(settings, documents, in_step):
    with collecting() as collector, traced_flow(settings, collector.url):
        in_step()
        documents.posts.insert_one({"_id": 1, "platform": "p"})
        in_step()
        trace = wait_until(lambda: collector.whole_trace_of("posts/int:1"), what="its trace arrives")
    assert trace["apply"].error.startswith("rejected while ")


def test_of_a_ratio_of_nothing_there_is_no_trace(settings, documents, in_step):
    with collecting() as collector, traced_flow(settings, collector.url, ratio=0.0):
        in_step()
        documents.posts.insert_many([post(number, words(5)) for number in range(20)])
        in_step()
    assert collector.spans == []


def test_without_a_collector_everything_arrives_and_one_line_says_that_traces_are_lost(
    settings, documents, in_step, chunk_texts, caplog
):
    port = free_port()
    url = f"http://user:hidden@127.0.0.1:{port}/v1/traces"
    with caplog.at_level(logging.WARNING), traced_flow(settings, url):
        in_step()
        for number in range(3):
            documents.posts.insert_one(post(number, words(5)))
            in_step()
        assert chunk_texts(DataType.POSTS, "int:2")
    lost = [each.getMessage() for each in caplog.records if "takes no traces" in each.getMessage()]
    assert 1 <= len(lost) <= 2  # capture's and the stream's
    assert "hidden" not in caplog.text


def test_traces_are_taken_again_when_the_collector_is_back(settings, documents, in_step, caplog):
    port = free_port()
    with caplog.at_level(logging.WARNING), traced_flow(settings, f"http://127.0.0.1:{port}/v1/traces"):
        in_step()
        documents.posts.insert_one(post(1, words(5)))
        wait_until(lambda: caplog.text.count("takes no traces") == 2, what="both say so", limit_s=60)
        with collecting(port) as collector:
            documents.posts.insert_one(post(2, words(5)))
            wait_until(lambda: collector.whole_trace_of("posts/int:2"), what="a trace arrives", limit_s=60)
            wait_until(lambda: caplog.text.count("takes traces again") == 2, what="both say so", limit_s=60)
