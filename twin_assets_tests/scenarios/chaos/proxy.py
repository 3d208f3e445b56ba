"""A proxy before Qdrant that refuses, slows down, and loses answers on purpose."""

from __future__ import annotations

import socket
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import StrEnum
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import NamedTuple
from urllib.parse import urlsplit

from twin_assets.stack.ports import LOOPBACK

UPSTREAM_LIMIT_S = 120.0
HELD_S = 120.0
PASSED_ON = ("Content-Type", "Accept", "Api-Key")


class Mishap(StrEnum):
    """What may befall a request."""

    REFUSED = "not applied: 503"
    FAILED = "applied: 500"
    CUT = "applied: the connection is cut instead of an answer"
    LATE = "applied: no answer until the client has given up"
    HELD = "not applied before the proxy lets go"


class Request(NamedTuple):
    method: str
    path: str
    body: bytes

    @property
    def is_write(self) -> bool:
        """Whether it changes points, and waits for it."""
        return "wait=true" in self.path


Fate = Callable[[Request], Mishap | None]


def harmless(_: Request) -> None:
    """Let a request pass."""


class QdrantProxy(ThreadingHTTPServer):
    """Passes requests on; `fate` decides about each, `befallen` counts what it decided."""

    daemon_threads = True

    def __init__(self, upstream: str) -> None:
        super().__init__((LOOPBACK, 0), _Handler)
        self.upstream = urlsplit(upstream).netloc
        self.fate: Fate = harmless
        self.befallen: Counter[Mishap] = Counter()
        self.released = threading.Event()
        self._lock = threading.Lock()

    @property
    def url(self) -> str:
        return f"http://{LOOPBACK}:{self.server_port}"

    def decide(self, request: Request) -> Mishap | None:
        with self._lock:
            mishap = self.fate(request)
            if mishap is not None:
                self.befallen[mishap] += 1
            return mishap

    def handle_error(self, request: object, client_address: object) -> None:
        """Clients that give up are what this is for."""


@contextmanager
def proxy_before(upstream: str) -> Iterator[QdrantProxy]:
    """Run a proxy on a port of its own."""
    proxy = QdrantProxy(upstream)
    thread = threading.Thread(target=proxy.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield proxy
    finally:
        proxy.released.set()
        proxy.shutdown()
        proxy.server_close()
        thread.join(30)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: QdrantProxy

    def _pass_on(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        mishap = self.server.decide(Request(self.command, self.path, body))
        if mishap is Mishap.REFUSED:
            self._answer(503, b"{}")
            return
        if mishap is Mishap.HELD:
            self.server.released.wait(HELD_S)
        status, answer = self._ask(body)
        if mishap is Mishap.LATE:
            self.rfile.read(1)  # returns once the client has hung up
        if mishap in (Mishap.CUT, Mishap.LATE):
            self.close_connection = True
            self.connection.shutdown(socket.SHUT_RDWR)
        elif mishap is Mishap.FAILED:
            self._answer(500, b"{}")
        else:
            self._answer(status, answer)

    do_GET = do_PUT = do_POST = do_PATCH = do_DELETE = _pass_on  # noqa: N815 - names of the base class

    def _ask(self, body: bytes) -> tuple[int, bytes]:
        upstream = HTTPConnection(self.server.upstream, timeout=UPSTREAM_LIMIT_S)
        headers = {name: self.headers[name] for name in PASSED_ON if name in self.headers}
        try:
            upstream.request(self.command, self.path, body=body or None, headers=headers)
            reply = upstream.getresponse()
            return reply.status, reply.read()
        finally:
            upstream.close()

    def _answer(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name of the base class
        """Keep silent."""
