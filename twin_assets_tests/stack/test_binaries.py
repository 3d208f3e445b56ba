from __future__ import annotations

from importlib.metadata import PackageNotFoundError
from pathlib import Path

import pytest

from twin_assets.errors import StackError
from twin_assets.stack import binaries
from twin_assets.stack.binaries import find_epmd, find_mongod, find_qdrant, find_rabbitmq, library_path


@pytest.fixture
def empty_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    monkeypatch.setattr(binaries, "RABBITMQ_SERVER", tmp_path / "nowhere")
    return folder


def _program(path: Path) -> Path:
    path.parent.mkdir(exist_ok=True)
    path.write_text("#!/bin/sh\n")
    path.chmod(0o755)
    return path


def _no_wheel(name: str) -> None:
    raise PackageNotFoundError(name)


def test_programs_on_the_path_win(empty_path: Path, tmp_path: Path) -> None:
    tools = tmp_path / "tools"
    _program(tools / "qdrant")
    names = ["mongod", "qdrant", "epmd", "rabbitmq-server"]
    mongod, qdrant, epmd, rabbitmq = [_program(empty_path / name) for name in names]
    assert find_mongod() == mongod
    assert find_qdrant(tools) == qdrant
    assert find_epmd() == epmd
    assert find_rabbitmq() == rabbitmq


def test_fetched_qdrant_is_found(empty_path: Path, tmp_path: Path) -> None:
    fetched = _program(tmp_path / "tools" / "qdrant")
    assert find_qdrant(tmp_path / "tools") == fetched


@pytest.mark.parametrize("name", ["mongod", "qdrant", "rabbitmq", "epmd"])
def test_missing_program_is_one_line_that_says_what_to_do(
    empty_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setattr(binaries, "distribution", _no_wheel)
    finders = {
        "mongod": find_mongod,
        "qdrant": lambda: find_qdrant(tmp_path),
        "rabbitmq": find_rabbitmq,
        "epmd": find_epmd,
    }
    with pytest.raises(StackError, match="install") as caught:
        finders[name]()
    assert "\n" not in str(caught.value)


def test_mongod_sees_its_openssl_only_where_it_was_fetched(tmp_path: Path) -> None:
    assert library_path(tmp_path) == {}
    (tmp_path / "openssl-1.1").mkdir()
    assert library_path(tmp_path) == {"LD_LIBRARY_PATH": str(tmp_path / "openssl-1.1")}
