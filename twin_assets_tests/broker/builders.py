from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from datetime import UTC, datetime

import aio_pika

from twin_assets.broker.consumer import ChangeConsumer, Delivery
from twin_assets.models.change import Change, DeadLetter, Marker
from twin_assets.models.kinds import DataType
from twin_assets_tests.loopback_proxy import LoopbackProxy

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


def await_thread_end(name: str) -> None:
    """Wait until a thread is listed no more, which is a moment after it has said that it is over."""
    await_until(lambda: name not in [thread.name for thread in threading.enumerate()])


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


class CuttingProxy(LoopbackProxy):
    """Stands between a client and the broker; it can refuse clients, and swallow what is said."""

    def __init__(self, url: str) -> None:
        parts = aio_pika.connection.URL(url)
        super().__init__(parts.host, parts.port)
        self.url = str(parts.with_port(self.port))
        self.is_refusing = False
        self.is_mute = False
        self.accepted = 0

    def admit(self) -> bool:
        self.accepted += 1
        return not self.is_refusing

    def pump_requests(self, client: socket.socket, server: socket.socket) -> None:
        self._pump(client, server)

    def pump_replies(self, client: socket.socket, server: socket.socket) -> None:
        self._pump(server, client)

    def _pump(self, source: socket.socket, sink: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                if not self.is_mute:
                    sink.sendall(data)
        with suppress(OSError):
            sink.shutdown(socket.SHUT_RDWR)
