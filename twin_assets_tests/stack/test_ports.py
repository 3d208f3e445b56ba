from __future__ import annotations

import os
import socket
import threading

import pytest

from twin_assets.errors import StackError
from twin_assets.stack.ports import LOOPBACK, free_port, require_free


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


def test_port_that_is_given_up_in_time_is_waited_for() -> None:
    holder = socket.create_server((LOOPBACK, 0))
    port = holder.getsockname()[1]
    threading.Timer(0.1, holder.close).start()
    require_free(port, purpose="a test", setting="TWIN_LOCAL_TEST_PORT", patience_s=10)
