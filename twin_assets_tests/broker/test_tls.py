from __future__ import annotations

import asyncio
import shutil
import ssl
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from twin_assets.broker.connection import parse_url
from twin_assets.broker.consumer import ChangeConsumer
from twin_assets.broker.io_thread import IoThread
from twin_assets.broker.publisher import ChangePublisher
from twin_assets.errors import BrokerUnavailable
from twin_assets_tests.broker.builders import changes, positions, receive

pytestmark = pytest.mark.servers


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("openssl is not installed")
    folder = tmp_path_factory.mktemp("tls")
    key, own = folder / "key.pem", folder / "certificate.pem"
    command = f"{openssl} req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost"
    extension = f"-addext subjectAltName=IP:127.0.0.1 -keyout {key} -out {own}"
    subprocess.run([*command.split(), *extension.split()], check=True, capture_output=True)
    return own, key


@pytest.fixture
def tls_url(rabbitmq_url: str, certificate: tuple[Path, Path]) -> Iterator[str]:
    """The broker behind a proxy that ends TLS."""
    url = parse_url(rabbitmq_url)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        broker_reader, broker_writer = await asyncio.open_connection(url.host, url.port)
        await asyncio.gather(_pump(reader, broker_writer), _pump(broker_reader, writer))

    io = IoThread("tls proxy", where="here")
    server = io.run(asyncio.start_server(serve, "127.0.0.1", 0, ssl=context), timeout_s=5)
    yield str(url.with_scheme("amqps").with_port(server.sockets[0].getsockname()[1]))
    io.run(_stop(server), timeout_s=5)
    io.close()


async def _stop(server: asyncio.Server) -> None:
    server.close()


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    except OSError:
        pass
    finally:
        writer.close()


def test_the_authority_named_in_the_url_is_trusted(tls_url: str, certificate: tuple[Path, Path]) -> None:
    url = f"{tls_url}&cafile={certificate[0]}"
    with ChangePublisher(url, queues=1) as publisher:
        assert publisher.publish(changes(3)) == 3
    with ChangeConsumer(url, queues=1, indexes=[0], prefetch=5) as consumer:
        assert positions(receive(consumer, 0, 3)) == [0, 1, 2]


def test_an_unknown_certificate_is_refused(tls_url: str) -> None:
    with (
        pytest.raises(BrokerUnavailable, match="CERTIFICATE_VERIFY_FAILED"),
        ChangePublisher(tls_url, queues=1),
    ):
        pass
