"""A collector for tests: takes what OpenTelemetry sends over HTTP, and can be asked for it."""

from __future__ import annotations

import gzip
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)


@dataclass(frozen=True)
class TakenSpan:
    """One span as it came over the wire; times in ns since the epoch."""

    service: str
    name: str
    trace_id: str
    span_id: str
    parent_id: str
    began_ns: int
    ended_ns: int
    facts: dict[str, Any]
    error: str


@dataclass
class Collector:
    """What has been received."""

    url: str
    spans: list[TakenSpan] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)

    def traces(self) -> dict[str, dict[str, TakenSpan]]:
        """Return the spans by trace and name."""
        found: dict[str, dict[str, TakenSpan]] = {}
        for span in list(self.spans):
            found.setdefault(span.trace_id, {})[span.name] = span
        return found

    def whole_trace_of(self, key: str) -> dict[str, TakenSpan] | None:
        """Return the spans of the first trace of a document that has arrived from both services."""
        for trace in self.traces().values():
            if {"capture", "apply"} <= trace.keys() and trace["capture"].facts["twin.document"] == key:
                return trace
        return None


@contextmanager
def collecting(port: int = 0) -> Iterator[Collector]:
    """Listen on loopback until the block ends."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if self.headers.get("Content-Encoding") == "gzip":
                body = gzip.decompress(body)
            collector.bodies.append(body)
            collector.spans.extend(_spans_of(body))
            answer = ExportTraceServiceResponse().SerializeToString()
            self.send_response(200)
            self.send_header("Content-Type", "application/x-protobuf")
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    collector = Collector(f"http://127.0.0.1:{server.server_port}/v1/traces")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield collector
    finally:
        server.shutdown()
        server.server_close()
        thread.join(10)


def _spans_of(body: bytes) -> Iterator[TakenSpan]:
    request = ExportTraceServiceRequest.FromString(body)
    for of_resource in request.resource_spans:
        resource = {each.key: each.value.string_value for each in of_resource.resource.attributes}
        for of_scope in of_resource.scope_spans:
            for span in of_scope.spans:
                yield TakenSpan(
                    service=resource["service.name"],
                    name=span.name,
                    trace_id=span.trace_id.hex(),
                    span_id=span.span_id.hex(),
                    parent_id=span.parent_span_id.hex(),
                    began_ns=span.start_time_unix_nano,
                    ended_ns=span.end_time_unix_nano,
                    facts={
                        each.key: each.value.string_value or each.value.int_value for each in span.attributes
                    },
                    error=span.status.message,
                )
