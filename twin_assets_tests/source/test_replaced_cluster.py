"""A replica set that takes another one's place at the same address, as after a loss of all its files."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from twin_assets.errors import ClusterReplaced, SourceUnavailable
from twin_assets.source.client import connect
from twin_assets.source.documents import DocumentSource
from twin_assets.stack.servers import MongoServer
from twin_assets_tests.free_ports import free_port
from twin_assets_tests.scenarios.own_servers import TOOLS, restart, served

pytestmark = pytest.mark.servers


def test_who_knew_the_old_one_is_told_and_a_new_client_finds_the_new_one(
    server_binaries: dict[str, Path], tmp_path: Path
) -> None:
    server = MongoServer(tmp_path, port=free_port(), tools=TOOLS)
    with served(server):
        server.stop()
        restart(server)  # an election more than a new replica set has behind it
        with connect(server.url, timeout_s=5) as client:
            source = DocumentSource(client, "twin")
            server.stop()
            with pytest.raises(SourceUnavailable):
                source.now()
            shutil.rmtree(server.folder)
            restart(server)
            with pytest.raises(ClusterReplaced, match="another replica set"):
                source.now()
        with connect(server.url) as client:
            assert DocumentSource(client, "twin").now() > 0
