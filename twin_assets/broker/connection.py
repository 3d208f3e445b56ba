"""One connection to RabbitMQ, driven by its own thread so that heartbeats go on while others work.

Errors of the AMQP client are translated here; what they say never contains the URL's credentials.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from aio_pika import Connection
from aio_pika.abc import AbstractChannel
from aio_pika.exceptions import (
    AMQPError,
    AuthenticationError,
    ChannelInvalidStateError,
    InvalidFrameError,
    ProbableAuthenticationError,
)
from aiormq.abc import AbstractConnection as Wire
from aiormq.exceptions import ChannelAccessRefused
from yarl import URL

from twin_assets.errors import BrokerUnavailable, ConfigurationError

CONNECT_TIMEOUT_S = 10.0
CLOSE_TIMEOUT_S = 5.0
# A silent peer is given up after three of these; an import that holds the interpreter for a second is fine.
HEARTBEAT_S = 20
DEFAULT_PORTS = {"amqp": 5672, "amqps": 5671}


def parse_url(url: str) -> URL:
    """Return the URL with a heartbeat. Raises ConfigurationError, without quoting it, where it is none."""
    try:
        parsed = URL(url)
        port = parsed.port or DEFAULT_PORTS.get(parsed.scheme)
    except ValueError:
        parsed, port = URL(), None
    if parsed.scheme not in DEFAULT_PORTS or not parsed.host or not port:
        raise ConfigurationError(
            "TWIN_RABBITMQ_URL is not of the form amqp://user:password@host:port/virtual-host, with special "
            "characters in the password percent-encoded"
        )
    query = {"heartbeat": str(HEARTBEAT_S)} | dict(parsed.query)
    return parsed.with_port(port).with_query(query)


def redact(url: URL) -> str:
    """Return scheme, host, port and virtual host: what an error may show."""
    return str(url.with_user(None).with_query(None))


@contextmanager
def translate_errors(url: URL) -> Iterator[None]:
    """Turn the client's errors into BrokerUnavailable, or ConfigurationError where retrying cannot help."""
    where = redact(url)
    try:
        yield
    except (ProbableAuthenticationError, AuthenticationError) as error:
        raise ConfigurationError(
            f"RabbitMQ at {where} refuses the login; check user and password in TWIN_RABBITMQ_URL"
        ) from error
    except ChannelAccessRefused as error:
        raise ConfigurationError(
            f"RabbitMQ at {where} refuses access; let the user configure, write and read twin.* ({error})"
        ) from error
    except TimeoutError as error:
        raise BrokerUnavailable(where, "no answer in time") from error
    except (AMQPError, OSError, ChannelInvalidStateError, RuntimeError) as error:
        raise BrokerUnavailable(where, _reason(error)) from error
    except asyncio.CancelledError:
        task = asyncio.current_task()
        if task is not None and task.cancelling():
            raise
        # The client cancels what waits on a connection that is lost.
        raise BrokerUnavailable(where, "the connection was lost") from None


async def open_connection(url: URL, *, name: str) -> Connection:
    """Connect within CONNECT_TIMEOUT_S; `name` is what the broker's own tools show."""
    _silence_client()
    connection = Connection(url, client_properties={"connection_name": name})
    try:
        with translate_errors(url):
            await _connect(connection, url)
    except BaseException:
        await close_connection(connection)
        raise
    return connection


async def open_channel(connection: Connection, *, confirms: bool = False) -> AbstractChannel:
    """Open a channel; with `confirms`, unroutable and refused messages raise on publishing."""
    channel = connection.channel(publisher_confirms=confirms, on_return_raises=confirms)
    await asyncio.wait_for(channel.initialize(), CONNECT_TIMEOUT_S)
    return channel


async def close_channel(channel: AbstractChannel) -> bool:
    """Close within CLOSE_TIMEOUT_S and return whether the broker agreed."""
    try:
        await asyncio.wait_for(channel.close(), CLOSE_TIMEOUT_S)
    except (AMQPError, OSError, RuntimeError, TimeoutError):
        return False
    return True


async def close_connection(connection: Connection) -> None:
    """Close within CLOSE_TIMEOUT_S; what was not acknowledged goes back to its place in the queue."""
    with suppress(AMQPError, OSError, RuntimeError, TimeoutError):
        await asyncio.wait_for(connection.close(), CLOSE_TIMEOUT_S)


def wire_of(connection: Connection) -> Wire:
    """Return what is below: the broker's properties, its alarms, and when it closes."""
    if connection.transport is None:
        raise ChannelInvalidStateError("the connection was lost")
    return connection.transport.connection


def broker_version(connection: Connection) -> tuple[int, ...]:
    """Return the broker's version, such as (3, 10, 8); empty where it does not say."""
    text = str(wire_of(connection).server_properties.get("version", ""))
    return tuple(int(part) for part in text.split(".") if part.isdigit())


async def _connect(connection: Connection, url: URL) -> None:
    try:
        await connection.connect(timeout=CONNECT_TIMEOUT_S)
    except (FileNotFoundError, PermissionError, ssl.SSLError) as error:
        if getattr(error, "library", None) == "SSL":  # what the other side says; files are X509 or PEM
            raise
        raise ConfigurationError(
            f"a certificate file that TWIN_RABBITMQ_URL names for {redact(url)} cannot be read "
            f"({error.strerror})"
        ) from error
    except InvalidFrameError as error:
        if "Connection.OpenOk" not in str(error):
            raise
        raise ConfigurationError(
            f"RabbitMQ at {redact(url)} has no such virtual host, or refuses this user there; create it or "
            "correct TWIN_RABBITMQ_URL"
        ) from error


def _silence_client() -> None:
    # Its tracebacks repeat, at every attempt, what our own errors say in a line.
    for name in ("aiormq", "aio_pika"):
        logger = logging.getLogger(name)
        if logger.level == logging.NOTSET:
            logger.setLevel(logging.CRITICAL)


def _reason(error: BaseException) -> str:
    if isinstance(error, RuntimeError):  # the client's way to say so, with an address in it
        return "the connection was lost"
    texts = [part for part in error.args if isinstance(part, str)] or [type(error).__name__]
    return texts[-1]
