"""A server that shows a certificate is trusted by the authority that a setting names, and by no other."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from twin_assets.broker.depth import queue_depths
from twin_assets.errors import ConfigurationError, ServerUnavailable
from twin_assets.operations.status import URLS, read_status
from twin_assets.settings import Settings
from twin_assets.source.client import connect
from twin_assets.store.glance import StoreGlance
from twin_assets.store.point_store import open_store
from twin_assets_tests.security.conftest import Guarded
from twin_assets_tests.security.servers import Certificate

pytestmark = [pytest.mark.servers, pytest.mark.slow]


def _reach_mongodb(settings: Settings) -> None:
    connect(settings.require_url("mongodb_url"), timeout_s=5).close()


def _reach_rabbitmq(settings: Settings) -> None:
    queue_depths(settings.require_url("rabbitmq_url"), 1)


def _reach_qdrant(settings: Settings) -> None:
    with open_store(settings) as store:
        store.check()


def _glance_at_qdrant(settings: Settings) -> None:
    with StoreGlance(settings, timeout_s=5) as store:
        store.check()


REACH = {
    "mongodb": _reach_mongodb,
    "rabbitmq": _reach_rabbitmq,
    "qdrant": _reach_qdrant,
    "a glance at qdrant": _glance_at_qdrant,
}


def _settings(guarded: Guarded, state: Path, authority: Path | None) -> Settings:
    return guarded.settings(
        state,
        mongodb_url=guarded.mongodb.url_for("twin", authority=authority),
        rabbitmq_url=guarded.rabbitmq.url_for("stream", authority=authority),
        qdrant_ca_file=authority,
    )


@pytest.mark.parametrize("reach", REACH.values(), ids=REACH.keys())
def test_the_authority_that_is_named_is_trusted(
    guarded: Guarded, tmp_path: Path, reach: Callable[[Settings], None]
) -> None:
    reach(_settings(guarded, tmp_path, guarded.certificate.own))


@pytest.mark.parametrize("reach", REACH.values(), ids=REACH.keys())
@pytest.mark.parametrize("authority", ["another", "the system's"])
def test_a_certificate_of_another_authority_is_refused_in_one_line_that_says_so(
    guarded: Guarded,
    tmp_path: Path,
    stranger: Certificate,
    reach: Callable[[Settings], None],
    authority: str,
) -> None:
    trusted = stranger.own if authority == "another" else None
    with pytest.raises(ServerUnavailable, match=r"(?i)certificate.verify.failed") as caught:
        reach(_settings(guarded, tmp_path, trusted))
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 400


@pytest.mark.parametrize("reach", REACH.values(), ids=REACH.keys())
@pytest.mark.parametrize("file", ["missing", "no certificate"])
def test_an_authority_that_cannot_be_read_is_a_wrong_setting(
    guarded: Guarded, tmp_path: Path, reach: Callable[[Settings], None], file: str
) -> None:
    path = tmp_path / "ca.pem"
    if file == "no certificate":
        path.write_text("nobody signed this")
    with pytest.raises(ConfigurationError, match="certificate") as caught:
        reach(_settings(guarded, tmp_path, path))
    assert "\n" not in str(caught.value)


@pytest.mark.usefixtures("patient_status")
def test_all_servers_are_up_over_tls(guarded: Guarded, tmp_path: Path) -> None:
    found = read_status(guarded.settings(tmp_path))
    assert {name: server["problem"] for name, server in found["servers"].items()} == dict.fromkeys(URLS)
