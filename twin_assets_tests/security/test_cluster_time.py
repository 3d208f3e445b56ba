"""Where users log in, a server takes no time whose key it does not know, as just after its start."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest
from bson import Binary, Int64, Timestamp
from pymongo.client_session import ClientSession

from twin_assets.errors import ClusterTimeUnknown
from twin_assets.operations.patience import Patience
from twin_assets.source.client import Client, connect, translate_errors
from twin_assets_tests.security.conftest import Guarded

pytestmark = pytest.mark.servers

AHEAD_S = 5
OTHER_KEY = Int64(1)


@pytest.fixture
def client(guarded: Guarded) -> Iterator[Client]:
    with connect(guarded.mongodb.url_for("twin", authority=guarded.certificate.own)) as opened:
        yield opened


@pytest.fixture
def session(client: Client) -> Iterator[ClientSession]:
    """A session that was told a time by another replica set, whose clock is a little ahead."""
    signature = {"hash": Binary(bytes(20)), "keyId": OTHER_KEY}
    with client.start_session() as opened:
        opened.advance_cluster_time(
            {"clusterTime": Timestamp(int(time.time()) + AHEAD_S, 1), "signature": signature}
        )
        yield opened


def test_it_is_waited_for_and_accepted_once_its_own_time_is_later(
    client: Client, session: ClientSession
) -> None:
    patience, waited = Patience(threading.Event(), seed=1), []
    patience.on_change = lambda: waited.append(patience.waiting_for)

    def ask() -> None:
        with translate_errors(client):
            client.admin.command("ping", session=session)

    with pytest.raises(ClusterTimeUnknown, match="just started, or is another replica set") as raised:
        ask()
    assert "\n" not in str(raised.value)
    patience(ask)
    assert waited == ["MongoDB", ""]
