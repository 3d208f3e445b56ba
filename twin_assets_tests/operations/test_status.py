from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest
from pydantic import SecretStr

from twin_assets.broker.publisher import ChangePublisher
from twin_assets.models.kinds import DataType
from twin_assets.operations.status import read_status, shown_url
from twin_assets.settings import load_settings
from twin_assets_tests.free_ports import free_port
from twin_assets_tests.operations.auditing import change, move_watermark, post

FRESHNESS = {"age_s", "unpublished_s", "p50_s", "p95_s", "p99_s", "worst_s", "samples", "note"}
NOTHING = {"source": None, "cleaned": None, "vector_documents": None, "chunks": None}


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("mongodb://me:secret@a:1,b:2/db?authSource=x", "mongodb://a:1,b:2/db"),
        ("amqp://me:se@cret@host:5672/v", "amqp://host:5672/v"),
        ("http://127.0.0.1:6333", "http://127.0.0.1:6333"),
    ],
)
def test_urls_are_shown_without_credentials(url, shown):
    assert shown_url(SecretStr(url)) == shown


def test_servers_that_are_down_leave_gaps_and_nothing_else(tmp_path: Path):
    down = {
        "mongodb_url": f"mongodb://me:secret@127.0.0.1:{free_port()}/?directConnection=true",
        "rabbitmq_url": f"amqp://me:secret@127.0.0.1:{free_port()}/",
        "qdrant_url": f"http://127.0.0.1:{free_port()}",
    }
    status = read_status(
        load_settings(state_dir=tmp_path, **down), lambda: {"capture_changes": {"state": "up"}}
    )
    assert {name: server["up"] for name, server in status["servers"].items()} == dict.fromkeys(
        ("mongodb", "rabbitmq", "qdrant"), False
    )
    assert all(server["problem"] for server in status["servers"].values())
    assert "secret" not in str(status)
    assert status["runs"] == {"capture_changes": {"state": "up"}}
    assert status["collections"] == {data_type.value: NOTHING for data_type in DataType}
    assert (status["lag_s"], status["queued"], status["dead_letters"]) == (None, None, None)
    assert set(status["freshness"]) == FRESHNESS
    assert status["freshness"]["age_s"] is None


def test_a_stack_that_was_never_started_is_said_plainly(tmp_path: Path):
    status = read_status(load_settings(state_dir=tmp_path))
    assert all(server["url"] is None and not server["up"] for server in status["servers"].values())
    assert all("twin up" in server["problem"] for server in status["servers"].values())
    assert status["runs"] == {}


def test_a_probe_that_hangs_does_not_hold_up_the_rest(tmp_path: Path):
    hanging = threading.Event()
    started = time.monotonic()
    status = read_status(load_settings(state_dir=tmp_path), lambda: {"never": hanging.wait()})
    hanging.set()
    assert status["runs"] == {}
    assert time.monotonic() - started < 10


@pytest.mark.servers
@pytest.mark.usefixtures("patient_status")
def test_all_figures_are_there_when_all_servers_are(twin, documents, apply, rabbitmq_url):
    documents.posts.insert_many([post(1), post(2), post(3)])
    documents.articles.insert_one({"_id": 1})
    apply([change(1), change(2)])
    move_watermark(twin, ahead_s=-40)
    settings = twin.settings.model_copy(update={"rabbitmq_url": SecretStr(rabbitmq_url)})
    with ChangePublisher(rabbitmq_url, queues=settings.rabbitmq_queues) as publisher:
        publisher.publish([change(3)])
    status = read_status(settings)
    assert all(server["up"] and server["problem"] is None for server in status["servers"].values())
    assert status["collections"]["posts"] == {
        "source": 3,
        "cleaned": 2,
        "vector_documents": 2,
        "chunks": status["collections"]["posts"]["chunks"],
    }
    assert status["collections"]["posts"]["chunks"] > 2
    assert status["collections"]["articles"] == {
        "source": 1,
        "cleaned": 0,
        "vector_documents": 0,
        "chunks": 0,
    }
    assert status["lag_s"] >= 40
    assert set(status["freshness"]) == FRESHNESS
    assert (status["freshness"]["age_s"], status["freshness"]["samples"]) == (None, 0)
    assert (status["queued"], status["dead_letters"]) == (1, 0)
