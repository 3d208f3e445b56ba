"""Loopback ports: is one free, and who holds it."""

from __future__ import annotations

import socket
import time

import psutil

from twin_assets.errors import StackError

LOOPBACK = "127.0.0.1"
POLL_S = 0.05
DEATH_S = 5.0


def require_free(port: int, *, purpose: str, setting: str, patience_s: float = DEATH_S) -> None:
    """Raise StackError where the port stays taken; the message names its holder and the way out.

    The threads of a server that ends may hold its port for a moment after its pid is gone, so a port whose
    holder cannot be named is waited for.
    """
    deadline = time.monotonic() + patience_s
    while not is_free(port):
        holder = _holder_of(port)
        if holder or time.monotonic() >= deadline:
            raise StackError(
                f"port {port} for {purpose} is in use{holder}; "
                f"stop what holds it, or choose another with {setting}"
            )
        time.sleep(POLL_S)


def is_free(port: int) -> bool:
    """Say whether a server may listen there now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
        return True


def _holder_of(port: int) -> str:
    try:
        listeners = [c for c in psutil.net_connections("tcp") if c.status == psutil.CONN_LISTEN]
        pid = next((c.pid for c in listeners if c.laddr and c.laddr.port == port), None)
        return f" by {psutil.Process(pid).name()} (pid {pid})" if pid else ""
    except psutil.Error:
        return ""
