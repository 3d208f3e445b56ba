"""A place between a client and a server, where what they say can be cut off or changed."""

from __future__ import annotations

import socket
import threading
from contextlib import suppress
from types import TracebackType
from typing import Self

from twin_assets.stack.ports import LOOPBACK


class LoopbackProxy:
    """Listens on loopback for connections to a server; a subclass says what passes on them."""

    def __init__(self, host: str | None, port: int | None) -> None:
        self._target = (host or "", port or 0)
        self._listener = socket.create_server((LOOPBACK, 0))
        self.port: int = self._listener.getsockname()[1]
        self._sockets: list[socket.socket] = []
        self._lock = threading.Lock()
        self._is_closed = False

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        with self._lock:
            self._is_closed = True
        self.cut()

    def cut(self) -> None:
        """End all connections at once."""
        with self._lock:
            sockets, self._sockets = self._sockets, []
        for each in sockets:
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()

    def admit(self) -> bool:
        """Say whether one more client may connect."""
        return True

    def pump_requests(self, client: socket.socket, server: socket.socket) -> None:
        """Pass on what the client says, until one of them is gone."""
        raise NotImplementedError

    def pump_replies(self, client: socket.socket, server: socket.socket) -> None:
        """Pass on what the server says, until one of them is gone."""
        raise NotImplementedError

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                if not self.admit():
                    client.close()
                    continue
                try:
                    server = socket.create_connection(self._target)
                except OSError:
                    client.close()
                    raise
                for each in (client, server):
                    each.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                with self._lock:
                    self._sockets += [client, server]
                    is_late = self._is_closed
                if is_late:
                    self.cut()
                    return
                for pump in (self.pump_requests, self.pump_replies):
                    threading.Thread(target=pump, args=(client, server), daemon=True).start()
