"""One way to connect, and errors that say what to do."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import pymongo.errors
import pytest

from twin_assets.errors import ConfigurationError, SourceUnavailable
from twin_assets.source.client import (
    Client,
    address_of,
    connect,
    dated_session,
    is_transient,
    translate_errors,
)
from twin_assets.stack.process import Launch
from twin_assets.stack.servers import MongoServer
from twin_assets_tests.free_ports import free_port
from twin_assets_tests.source.builders import MONGODB_ONLY

NOBODY = "mongodb://someone:secret@127.0.0.1:1/?replicaSet=rs0"


def test_nobody_at_the_address_is_an_outage_that_names_no_password() -> None:
    with pytest.raises(SourceUnavailable, match=r"127\.0\.0\.1:1 ") as raised:
        connect(NOBODY, timeout_s=0.05)
    assert "secret" not in str(raised.value)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("url", ["mongodb://", "http://here", "mongodb://h:99999"])
def test_a_wrong_url_is_a_configuration_error(url: str) -> None:
    with pytest.raises((ConfigurationError, SourceUnavailable)):
        connect(url, timeout_s=0.05)


@pytest.mark.parametrize("code", [189, 91, 10107, 11602, 43, 262, 211])
def test_elections_and_killed_cursors_are_outages(code: int) -> None:
    with pytest.raises(SourceUnavailable), translate_errors():
        raise pymongo.errors.OperationFailure("not primary", code)


@pytest.mark.parametrize("code", [13, 18])
def test_denied_access_is_a_configuration_error(code: int) -> None:
    with pytest.raises(ConfigurationError, match="TWIN_MONGODB_URL"), translate_errors():
        raise pymongo.errors.OperationFailure("not authorized", code)


def test_errors_of_one_request_pass_as_they_are() -> None:
    with pytest.raises(pymongo.errors.DuplicateKeyError), translate_errors():
        raise pymongo.errors.DuplicateKeyError("E11000", 11000)
    assert not is_transient(pymongo.errors.DocumentTooLarge("large"))


@MONGODB_ONLY
@pytest.mark.servers
def test_a_client_knows_its_address_and_a_session_its_revision(client: Client, mongodb_url: str) -> None:
    assert address_of(client) in mongodb_url
    with dated_session(client) as (_, first), dated_session(client) as (_, second):
        assert 0 < first <= second


class StandaloneServer(MongoServer):
    """A mongod that was started without a replica set."""

    def launch(self) -> Launch:
        launch = super().launch()
        command = list(launch.command)
        place = command.index("--replSet")
        return replace(launch, command=command[:place] + command[place + 2 :])


@pytest.mark.servers
def test_a_server_without_a_replica_set_is_refused_with_what_to_do(
    server_binaries: dict[str, Path], tmp_path: Path
) -> None:
    server = StandaloneServer(tmp_path, port=free_port(), tools=Path(sys.prefix) / "tools")
    server.start()
    try:
        with pytest.raises(ConfigurationError, match=r"not a replica set.*twin up"):
            connect(f"mongodb://127.0.0.1:{server.port}", timeout_s=120)
    finally:
        server.stop()
