"""`twin prepare-source` on a server with logins: the user that it makes may do its work, and no more."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from uuid import uuid4

import pytest
from pymongo.errors import OperationFailure

from twin_assets.cli.app import main
from twin_assets.cli.exit_codes import ExitCode
from twin_assets.errors import ConfigurationError
from twin_assets.source.client import Client, connect
from twin_assets_tests.scenarios.documents import post
from twin_assets_tests.security.conftest import Guarded

pytestmark = pytest.mark.servers

UNAUTHORIZED = 13


@pytest.fixture
def urls(guarded: Guarded, monkeypatch: pytest.MonkeyPatch, tmp_path) -> Iterator[dict[str, str]]:
    """The administrator's URL, and that of a user whom nobody has made yet."""
    own, name = guarded.certificate.own, f"user_{uuid4().hex[:8]}"
    found = {
        "TWIN_MONGODB_ADMIN_URL": guarded.mongodb.url_for("root", authority=own),
        "TWIN_MONGODB_URL": guarded.mongodb.url_for(name, password="p%40ss%2Fword", authority=own),
        "TWIN_MONGODB_DATABASE": f"made_{uuid4().hex[:8]}",
        "TWIN_STATE_DIR": str(tmp_path),
    }
    for variable, value in found.items():
        monkeypatch.setenv(variable, value)
    yield found
    with connect(found["TWIN_MONGODB_ADMIN_URL"]) as root:
        for database in (found["TWIN_MONGODB_DATABASE"], f"{found['TWIN_MONGODB_DATABASE']}_meta"):
            root.drop_database(database)
        if root.admin.command({"usersInfo": name})["users"]:
            root.admin.command({"dropUser": name})


def run(monkeypatch: pytest.MonkeyPatch, *options: str) -> int:
    monkeypatch.setattr(sys, "argv", ["twin", "prepare-source", *options])
    with pytest.raises(SystemExit) as ended:
        main()
    return int(ended.value.code or 0)


def may_write(client: Client, database: str) -> bool:
    try:
        client[database].posts.replace_one({"_id": 1}, post(1, "text"), upsert=True)
    except OperationFailure as error:
        if error.code != UNAUTHORIZED:
            raise
        return False
    return True


@pytest.mark.parametrize("options", [[], ["--may-write"]])
def test_the_user_reads_documents_and_writes_our_records_and_documents_if_asked_for(
    urls: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    options: list[str],
) -> None:
    database = urls["TWIN_MONGODB_DATABASE"]
    for _ in range(2):
        assert run(monkeypatch, *options) == 0
    with connect(urls["TWIN_MONGODB_URL"]) as client:
        assert client[database].posts.count_documents({}) == 0
        assert may_write(client, f"{database}_meta")
        assert may_write(client, database) is bool(options)
        assert not may_write(client, "another")
    said = capsys.readouterr()
    assert database in said.out
    assert "p@ss" not in said.out + said.err


def test_it_gives_a_user_who_is_there_the_new_password(
    urls: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run(monkeypatch) == 0
    later = urls["TWIN_MONGODB_URL"].replace("p%40ss", "other")
    monkeypatch.setenv("TWIN_MONGODB_URL", later)
    assert run(monkeypatch) == 0
    with connect(later) as client:
        assert may_write(client, f"{urls['TWIN_MONGODB_DATABASE']}_meta")
    with pytest.raises(ConfigurationError, match="denies access"):
        connect(urls["TWIN_MONGODB_URL"])


@pytest.mark.parametrize(
    ("variable", "value", "said", "code"),
    [
        ("TWIN_MONGODB_ADMIN_URL", "", "TWIN_MONGODB_ADMIN_URL is not set", ExitCode.WRONG_USAGE),
        ("TWIN_MONGODB_URL", "mongodb://127.0.0.1:1/", "names no user with a password", ExitCode.WRONG_USAGE),
    ],
)
def test_what_is_missing_is_one_line(
    urls: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    variable: str,
    value: str,
    said: str,
    code: ExitCode,
) -> None:
    monkeypatch.setenv(variable, value)
    assert run(monkeypatch) == code
    error = capsys.readouterr().err
    assert said in error
    assert len(error.strip().splitlines()) == 1


def test_an_administrator_who_is_refused_is_one_line_without_the_password(
    urls: dict[str, str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(
        "TWIN_MONGODB_ADMIN_URL", urls["TWIN_MONGODB_ADMIN_URL"].replace("root:", "root:wrong")
    )
    assert run(monkeypatch) == ExitCode.WRONG_USAGE
    error = capsys.readouterr().err
    assert "TWIN_MONGODB_ADMIN_URL" in error
    assert len(error.strip().splitlines()) == 1
    assert "wrong" not in error
