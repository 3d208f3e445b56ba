"""A MongoDB that is older than what Qdrant holds: everything stops, and the documented way out works."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pymongo
import pytest
from bson import Int64, Timestamp
from pydantic import SecretStr

from twin_assets.models.kinds import DataType, Snapshot
from twin_assets.operations.audit import audit
from twin_assets.operations.repair import repair
from twin_assets.operations.twin import Twin, open_twin
from twin_assets.settings import Settings
from twin_assets.stack.servers import MongoServer
from twin_assets_tests.free_ports import free_port
from twin_assets_tests.scenarios.chaos.losing import TOOLS, delete_queues, empty_queues, publish_all_changes
from twin_assets_tests.scenarios.chaos.verdict import live, points_of
from twin_assets_tests.scenarios.documents import article, post, words
from twin_assets_tests.scenarios.processes import LongRun, long_run
from twin_assets_tests.waiting import wait_until

pytestmark = [pytest.mark.servers, pytest.mark.slow, pytest.mark.chaos, pytest.mark.timeout(900)]

AN_HOUR_S = 3600
WAITING = [pytest.param("a change waits", marks=pytest.mark.nightly), "only markers wait"]


@pytest.fixture
def mongodb(server_binaries: dict[str, Path], tmp_path: Path) -> Iterator[MongoServer]:
    with serving(tmp_path / "first") as server:
        yield server


@pytest.fixture
def mongodb_url(mongodb: MongoServer) -> str:
    return mongodb.url


@pytest.mark.parametrize("waiting", WAITING)
def test_an_older_mongodb_stops_the_stream_before_it_writes_and_an_empty_qdrant_is_the_way_out(
    waiting, twin, settings, mongodb, documents, capturing, streaming, tally, tmp_path
):
    write_first(documents)
    with capturing(), streaming():
        tally.in_step()
    back_up(mongodb, tmp_path / "second")
    set_clock_forward(mongodb)
    write_more(documents)
    with capturing(), streaming():
        tally.in_step()
    if waiting == "a change waits":
        documents.posts.replace_one({"_id": 2}, post(2, "published, and not applied"))
    publish_all_changes(twin, capturing)
    held = everything(twin)
    with serving(tmp_path / "second") as restored, restored_twin(settings, restored) as other:
        tally.fault()
        with long_run(other.settings, "stream") as stream:
            await_refusal(stream)
        assert everything(twin) == held
        assert (other.meta.watermark(settings.rabbitmq_queues) or 0) <= other.source.now()
        assert twin.dead_letters.count() == 0
        start_anew(other)
        with long_run(other.settings, "capture"), long_run(other.settings, "stream"):
            settle(tally, other)


@pytest.mark.nightly
def test_an_older_mongodb_with_our_newer_records_stops_both_runs_before_they_write(
    twin, settings, mongodb, documents, capturing, streaming, tally, tmp_path
):
    write_first(documents)
    with capturing(), streaming():
        tally.in_step()
    back_up(mongodb, tmp_path / "second")
    set_clock_forward(mongodb)
    write_more(documents)
    with capturing(), streaming():
        tally.in_step()
    held = everything(twin)
    with serving(tmp_path / "second") as restored, restored_twin(settings, restored) as other:
        tally.fault()
        copy_records(twin, other)
        # No message that could tell them waits in the queues.
        empty_queues(twin)
        for name in ("capture", "stream"):
            with long_run(other.settings, name) as run:
                await_refusal(run)
        assert everything(twin) == held
        assert twin.dead_letters.count() == 0
        start_anew(other)
        with long_run(other.settings, "capture"), long_run(other.settings, "stream"):
            settle(tally, other)


@pytest.mark.nightly
def test_a_mongodb_restored_from_a_backup_is_seen_by_the_checks_and_made_good_by_a_repair(
    twin, settings, mongodb, documents, capturing, streaming, tally, tmp_path
):
    """Its clock has gone on, so nothing stops; what was undone by it no event names."""
    write_first(documents)
    with capturing(), streaming():
        tally.in_step()
        # A look over that is still due would find the orphan before the checks do.
        wait_until(lambda: twin.meta.load_recheck() is None, what="the first look over", limit_s=60)
    back_up(mongodb, tmp_path / "second")
    write_more(documents)
    with capturing(), streaming():
        tally.in_step()
    with serving(tmp_path / "second") as restored, restored_twin(settings, restored) as other:
        tally.fault()
        with long_run(other.settings, "capture"), long_run(other.settings, "stream"):
            await_applied(other)
            reports = [
                audit(other, live(other, snapshot, kind)) for kind in DataType for snapshot in Snapshot
            ]
            kinds = {kind.value for report in reports for kind in report.differences}
            assert {"orphan", "stale", "missing"} <= kinds
            repair(other, *reports)
            settle(tally, other)


def write_first(documents) -> None:
    documents.posts.insert_many([post(number, words(12, prefix=f"p{number}x")) for number in range(4)])
    documents.articles.insert_one(article("a", words(12)))


def write_more(documents) -> None:
    documents.posts.replace_one({"_id": 0}, post(0, "written after the backup"))
    documents.posts.delete_one({"_id": 1})
    documents.posts.insert_one(post(10, "born after the backup"))


@contextmanager
def serving(state: Path) -> Iterator[MongoServer]:
    server = MongoServer(state, port=free_port(), tools=TOOLS)
    try:
        server.start()
        server.await_ready()
        yield server
    finally:
        server.stop()


def back_up(server: MongoServer, state: Path) -> None:
    """Copy a server's files, as a cold backup does, to where another one will serve them."""
    server.stop()
    shutil.copytree(server.folder, state / server.folder.name)
    server.start()
    server.await_ready()


def set_clock_forward(server: MongoServer) -> None:
    """Have the server's next writes an hour in the future; a clock that was wrong for a while does that."""
    ahead = {"hash": b"\0" * 20, "keyId": Int64(0)}
    client: pymongo.MongoClient[dict[str, Any]] = pymongo.MongoClient(server.url)
    with client, client.start_session() as session:
        session.advance_cluster_time(
            {"clusterTime": Timestamp(int(time.time()) + AN_HOUR_S, 1), "signature": ahead}
        )
        client["noise"]["noise"].insert_one({"late": True}, session=session)


@contextmanager
def restored_twin(settings: Settings, server: MongoServer) -> Iterator[Twin]:
    """Open the twin at another MongoDB with a client of its own: drivers carry the newest time along."""
    with open_twin(settings.model_copy(update={"mongodb_url": SecretStr(server.url)})) as opened:
        yield opened


def copy_records(source: Twin, target: Twin) -> None:
    """Bring our own records to another MongoDB, as a restore of the source alone leaves them."""
    name = source.settings.meta_database
    target.source.client.drop_database(name)
    for collection in source.source.client[name].list_collection_names():
        found = source.source.client[name][collection].find().to_list()
        if found:
            target.source.client[name][collection].insert_many(found)


def everything(twin: Twin) -> dict[str, Any]:
    return {name: points_of(twin, name) for name in twin.collections.names()}


def await_refusal(run: LongRun) -> None:
    """Wait until a run has ended with one line that says what is wrong."""
    wait_until(lambda: run.process.poll() is not None, what="the run ends by itself", limit_s=120)
    said = run.said()
    assert run.process.returncode == 1, said[-3000:]
    assert "below the stored revision" in said
    assert "Traceback" not in said


def start_anew(twin: Twin) -> None:
    """Do what docs/operating.md says: no collections, no records, no queues."""
    for alias in twin.collections.aliases():
        twin.store.client.delete_collection(alias)
    for name in twin.collections.names():
        twin.collections.drop(name)
    twin.source.client.drop_database(twin.settings.meta_database)
    delete_queues(twin)


def await_applied(twin: Twin) -> None:
    target, queues = twin.source.now(), twin.settings.rabbitmq_queues
    wait_until(lambda: (twin.meta.watermark(queues) or 0) >= target, what="the watermark passes", limit_s=120)


def settle(tally, twin: Twin) -> None:
    tally.twin = twin
    tally.settle(lambda: await_applied(twin))
