"""What the task of Qdrant on AWS runs beside it, run here with a real Qdrant that has such a certificate."""

from __future__ import annotations

import os
import shutil
import socket
import ssl
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from twin_assets_tests.conftest import TOOLS
from twin_assets_tests.deploy.files import ROOT
from twin_assets_tests.free_ports import free_port
from twin_assets_tests.security.servers import Certificate, GuardedQdrant

pytestmark = [pytest.mark.servers, pytest.mark.skipif(not shutil.which("openssl"), reason="needs openssl")]

SCRIPTS = ROOT / "deploy" / "aws" / "infrastructure" / "qdrant"
HOST_NAME = "qdrant.twin.internal"
# As infrastructure/qdrant/authority.py has them made: keys of P-256, one name, and no address.
MAKE = """
openssl ecparam -name prime256v1 -genkey -noout -out authority.key
openssl req -x509 -new -key authority.key -days 2 -subj "/CN=twin qdrant" -out authority \\
    -addext basicConstraints=critical,CA:true -addext keyUsage=critical,keyCertSign,cRLSign
openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out key
openssl req -new -key key -subj "/CN=$HOST_NAME" -out request
printf '%s\\n' "subjectAltName=DNS:$HOST_NAME" extendedKeyUsage=serverAuth >names
openssl x509 -req -in request -CA authority -CAkey authority.key -CAcreateserial -days 2 -extfile names \\
    -out certificate
"""


class QdrantOnEcs(GuardedQdrant):
    """Qdrant with what the first container of its task has written, asked as ECS asks it."""

    def __init__(self, state: Path, folder: Path) -> None:
        certificate = Certificate(folder / "key.pem", folder / "certificate.pem")
        super().__init__(state, certificate=certificate, tools=TOOLS, port=free_port(), grpc_port=free_port())
        self.authority = folder / "authority.pem"

    def ask(self, **changed: str) -> int:
        """Return what the health check ends with."""
        environment = {
            "PATH": os.environ["PATH"],
            "AUTHORITY": str(self.authority),
            "HOST_NAME": HOST_NAME,
            "QDRANT__SERVICE__HTTP_PORT": self.url.rsplit(":", 1)[1],
        }
        command = ["bash", "-c", (SCRIPTS / "ready.sh").read_text()]
        return subprocess.run(
            command, env=environment | changed, capture_output=True, check=False, timeout=30
        ).returncode

    def is_ready(self) -> bool:
        return self.ask() == 0


def make_folder(folder: Path) -> Path:
    """Make an authority and a certificate, and have the task's own script write them as it does on AWS."""
    made, written = folder / "made", folder / "certificates"
    made.mkdir(parents=True)
    written.mkdir()
    environment = {"PATH": os.environ["PATH"], "HOST_NAME": HOST_NAME}
    subprocess.run(["bash", "-ec", MAKE], cwd=made, env=environment, capture_output=True, check=True)
    texts = {name.upper(): (made / name).read_text() for name in ("certificate", "key", "authority")}
    script = (SCRIPTS / "write_certificate.sh").read_text()
    command = ["bash", "-c", script, "write_certificate", str(written)]
    subprocess.run(command, env=environment | texts, check=True)
    return written


@pytest.fixture(scope="module")
def qdrant(tmp_path_factory: pytest.TempPathFactory, server_binaries: object) -> Iterator[QdrantOnEcs]:
    state = tmp_path_factory.mktemp("on-ecs")
    server = QdrantOnEcs(state, make_folder(state / "tls"))
    server.start()
    try:
        server.await_ready()
        yield server
    finally:
        server.stop()


def test_it_is_healthy_for_whoever_trusts_its_authority_and_asks_for_its_name(
    qdrant: QdrantOnEcs, tmp_path: Path
) -> None:
    assert qdrant.ask() == 0
    assert qdrant.ask(HOST_NAME="localhost") != 0
    assert qdrant.ask(AUTHORITY=str(make_folder(tmp_path) / "authority.pem")) != 0


def test_python_trusts_it_as_strictly_as_it_can(qdrant: QdrantOnEcs) -> None:
    trust = ssl.create_default_context(cafile=str(qdrant.authority))
    trust.verify_flags |= ssl.VERIFY_X509_STRICT
    address = ("127.0.0.1", int(qdrant.url.rsplit(":", 1)[1]))
    with (
        socket.create_connection(address, timeout=5) as connection,
        trust.wrap_socket(connection, server_hostname=HOST_NAME) as shown,
    ):
        found = shown.getpeercert()
    assert found
    assert found["subjectAltName"] == (("DNS", HOST_NAME),)


def test_a_port_on_which_nobody_listens_is_not_healthy(qdrant: QdrantOnEcs) -> None:
    assert qdrant.ask(QDRANT__SERVICE__HTTP_PORT=str(free_port())) != 0


def test_without_openssl_it_is_the_port_that_is_looked_at(qdrant: QdrantOnEcs, tmp_path: Path) -> None:
    without = str(tmp_path)
    bash = shutil.which("bash")
    assert bash
    (tmp_path / "bash").symlink_to(bash)
    assert qdrant.ask(PATH=without) == 0
    assert qdrant.ask(PATH=without, QDRANT__SERVICE__HTTP_PORT=str(free_port())) != 0
