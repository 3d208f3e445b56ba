"""A proxy with a login stands before Dagster or Qdrant: user and password in the URL are for it alone."""

from __future__ import annotations

import json
import threading
from base64 import b64encode
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from twin_assets.errors import ConfigurationError, StackError
from twin_assets.settings import Settings
from twin_assets.stack.dagster_api import DagsterApi
from twin_assets.store.glance import StoreGlance
from twin_assets.store.point_store import PointStore
from twin_assets_tests.security.servers import PASSWORD, QUOTED_PASSWORD

ANSWERS = {
    "/server_info": {"dagster_webserver_version": "1"},
    "/graphql": {"data": {"runsOrError": {"results": []}}},
    "/aliases": {"result": {"aliases": []}, "status": "ok", "time": 0},
}


class Proxy(ThreadingHTTPServer):
    """Answers who knows the password, and sends whoever asks for /moved/… elsewhere."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.expected = f"Basic {b64encode(f'user:{PASSWORD}'.encode()).decode()}"
        self.elsewhere = ""
        self.logins: list[str | None] = []

    @property
    def place(self) -> str:
        return f"127.0.0.1:{self.server_port}"


class _Handler(BaseHTTPRequestHandler):
    server: Proxy

    def do_GET(self) -> None:
        login = self.headers.get("Authorization")
        self.server.logins.append(login)
        if self.server.elsewhere:
            self._answer(302, b"", Location=f"http://{self.server.elsewhere}{self.path}")
        elif login != self.server.expected:
            self._answer(401, b"", **{"WWW-Authenticate": "Basic"})
        else:
            self._answer(200, json.dumps(ANSWERS[self.path]).encode())

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.do_GET()

    def _answer(self, status: int, body: bytes, **headers: str) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Stay silent."""


@pytest.fixture
def proxy() -> Iterator[Proxy]:
    yield from _serve()


@pytest.fixture
def other() -> Iterator[Proxy]:
    yield from _serve()


def _serve() -> Iterator[Proxy]:
    with Proxy() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        yield server
        server.shutdown()
        thread.join(30)


def test_dagster_is_asked_with_the_urls_login(proxy: Proxy) -> None:
    api = DagsterApi(f"http://user:{QUOTED_PASSWORD}@{proxy.place}/")
    assert api.is_up()
    assert api.active_runs() == {}


@pytest.mark.parametrize("login", ["", "user:s3cret-wrong@"])
def test_a_login_that_the_proxy_refuses_is_told_of_without_it(proxy: Proxy, login: str) -> None:
    api = DagsterApi(f"http://{login}{proxy.place}")
    assert not api.is_up()
    with pytest.raises(StackError, match="401") as caught:
        api.active_runs()
    assert "s3cret" not in f"{caught.value} {caught.value.__cause__!r}"


def test_the_login_does_not_follow_a_redirect_to_another_server(proxy: Proxy, other: Proxy) -> None:
    proxy.elsewhere = other.place
    assert not DagsterApi(f"http://user:{QUOTED_PASSWORD}@{proxy.place}").is_up()
    assert proxy.logins == [proxy.expected]
    assert other.logins == [None]


def test_qdrant_is_asked_with_the_urls_login(proxy: Proxy) -> None:
    with PointStore(f"http://user:{QUOTED_PASSWORD}@{proxy.place}") as store:
        store.check()
    with PointStore(f"http://{proxy.place}") as store, pytest.raises(ConfigurationError, match="refuses"):
        store.check()


def test_a_glance_at_qdrant_has_the_urls_login(proxy: Proxy) -> None:
    with_login = Settings(_env_file=None, qdrant_url=f"http://user:{QUOTED_PASSWORD}@{proxy.place}")
    without = Settings(_env_file=None, qdrant_url=f"http://{proxy.place}")
    with StoreGlance(with_login, timeout_s=5) as store:
        store.check()
    with StoreGlance(without, timeout_s=5) as store, pytest.raises(ConfigurationError, match="refuses"):
        store.check()
