from __future__ import annotations

import os
import socket
import threading
from collections.abc import Iterator

import pytest

from twin_assets.errors import StackError
from twin_assets.stack.ports import LOOPBACK, require_free
from twin_assets_tests.free_ports import free_port


def test_free_port_is_free() -> None:
    require_free(free_port(), purpose="a test", setting="TWIN_LOCAL_TEST_PORT")


def test_port_in_use_names_port_holder_and_setting() -> None:
    with socket.create_server((LOOPBACK, 0)) as holder:
        port = holder.getsockname()[1]
        with pytest.raises(StackError) as caught:
            require_free(port, purpose="qdrant", setting="TWIN_LOCAL_QDRANT_PORT")
    message = str(caught.value)
    assert f"port {port} for qdrant is in use" in message
    assert f"(pid {os.getpid()})" in message
    assert "choose another with TWIN_LOCAL_QDRANT_PORT" in message
    assert "\n" not in message


@pytest.fixture
def nameless() -> Iterator[socket.socket]:
    """Holds a port without listening there, so that no listener can be named: as a dying server does."""
    with socket.socket() as holder:
        holder.bind((LOOPBACK, 0))
        yield holder


def test_port_that_is_given_up_in_time_is_waited_for(nameless: socket.socket) -> None:
    port = nameless.getsockname()[1]
    threading.Timer(0.1, nameless.close).start()
    require_free(port, purpose="a test", setting="TWIN_LOCAL_TEST_PORT", patience_s=10)


def test_port_that_is_never_given_up_is_an_error(nameless: socket.socket) -> None:
    port = nameless.getsockname()[1]
    with pytest.raises(StackError, match=f"port {port} for a test is in use; stop what holds it"):
        require_free(port, purpose="a test", setting="TWIN_LOCAL_TEST_PORT", patience_s=0.1)
