from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from datetime import UTC, datetime
from types import TracebackType
from typing import Self

import aio_pika

from twin_assets.broker.consumer import ChangeConsumer, Delivery
from twin_assets.models.change import Change, DeadLetter, Marker
from twin_assets.models.kinds import DataType

PATIENCE_S = 60.0
AT = datetime(2026, 1, 2, 3, 4, 5, 6, tzinfo=UTC)


def change(number: int, data_type: DataType = DataType.POSTS) -> Change:
    return Change(type=data_type, entry=f"int:{number}", revision=number)


def changes(count: int) -> list[Change]:
    return [change(number) for number in range(count)]


def marker(position: int) -> Marker:
    return Marker(position=position, sent_at=AT)


def letter(number: int, **fields: object) -> DeadLetter:
    known = {"type": DataType.POSTS, "entry": f"int:{number}", "revision": number}
    return DeadLetter.model_validate(
        {"stage": "cleaning", "reason": f"reason {number}", "at": AT, **known, **fields}
    )


def await_until(condition: Callable[[], bool], *, timeout_s: float = PATIENCE_S) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, "the condition did not come true in time"
        time.sleep(0.01)


def receive(consumer: ChangeConsumer, queue: int, count: int) -> list[Delivery]:
    got: list[Delivery] = []

    def is_enough() -> bool:
        got.extend(consumer.poll(queue, count - len(got)))
        return len(got) >= count

    await_until(is_enough)
    return got


def positions(deliveries: Iterable[Delivery]) -> list[int]:
    messages = [delivery.message for delivery in deliveries]
    return [
        m.revision if isinstance(m, Change) else m.position for m in messages if not isinstance(m, Exception)
    ]


def delete_queues(url: str, names: Iterable[str]) -> None:
    async def delete() -> None:
        async with await aio_pika.connect(url) as connection:
            channel = await connection.channel()
            for name in names:
                await channel.queue_delete(name)

    asyncio.run(delete())


def put_raw(url: str, queue: str, *bodies: bytes) -> None:
    async def put() -> None:
        async with await aio_pika.connect(url) as connection:
            channel = await connection.channel()
            for body in bodies:
                await channel.default_exchange.publish(aio_pika.Message(body, delivery_mode=2), queue)

    asyncio.run(put())


class CuttingProxy:
    """Stands between a client and the broker, and can cut all their connections at once."""

    def __init__(self, url: str) -> None:
        parts = aio_pika.connection.URL(url)
        self._target = (parts.host or "", parts.port or 0)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = str(parts.with_port(self._listener.getsockname()[1]))
        self._sockets: list[socket.socket] = []
        self._lock = threading.Lock()
        self.is_refusing = False
        self.is_mute = False
        self.accepted = 0

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.cut()

    def cut(self) -> None:
        with self._lock:
            sockets, self._sockets = self._sockets, []
        for each in sockets:
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                self.accepted += 1
                if self.is_refusing:
                    client.close()
                    continue
                broker = socket.create_connection(self._target)
                with self._lock:
                    self._sockets += [client, broker]
                for source, sink in ((client, broker), (broker, client)):
                    threading.Thread(target=self._pump, args=(source, sink), daemon=True).start()

    def _pump(self, source: socket.socket, sink: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                if not self.is_mute:
                    sink.sendall(data)
        with suppress(OSError):
            sink.shutdown(socket.SHUT_RDWR)
