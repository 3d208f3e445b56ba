from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from twin_assets.stack.ports import LOOPBACK
from twin_assets.stack.probes import answers_amqp, answers_epmd
from twin_assets_tests.free_ports import free_port

PROBES = [answers_amqp, answers_epmd]


@contextmanager
def _replying(reply: bytes) -> Iterator[int]:
    def serve() -> None:
        connection, _ = server.accept()
        with connection:
            connection.recv(100)
            connection.sendall(reply)

    with socket.create_server((LOOPBACK, 0)) as server:
        thread = threading.Thread(target=serve)
        thread.start()
        yield server.getsockname()[1]
        thread.join()


@pytest.mark.parametrize("probe", PROBES)
def test_closed_port_does_not_answer(probe: Callable[[int], bool]) -> None:
    assert not probe(free_port())


@pytest.mark.parametrize("probe", PROBES)
@pytest.mark.parametrize("reply", [b"", b"HTTP/1.1 400 Bad Request\r\n\r\n", b"AMQP\x00\x00\x09\x01"])
def test_port_that_speaks_something_else_does_not_answer(probe: Callable[[int], bool], reply: bytes) -> None:
    with _replying(reply) as port:
        assert not probe(port)


def test_connection_start_is_an_answer() -> None:
    with _replying(b"\x01\x00\x00\x00\x00\x01\x00\x00\x0a\x00\x0a") as port:
        assert answers_amqp(port)
