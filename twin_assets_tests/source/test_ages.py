"""The histograms of the last hour on a real server, filled by rivals."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta

import pytest
from pymongo.database import Database
from pymongo.errors import BulkWriteError

from twin_assets.models.ages import AgeHistogram
from twin_assets.models.change import Marker
from twin_assets.source.ages import AgeRecords
from twin_assets.source.client import Client, Document
from twin_assets.source.clock import TRUSTED_S, ServerClock
from twin_assets.source.meta import MetaStore

pytestmark = pytest.mark.servers
NOW = datetime(2026, 1, 1, 12, 0, 30, tzinfo=UTC)
REPLICAS, WRITES = 8, 25


def ages_of(*ages_ms: float) -> AgeHistogram:
    made = AgeHistogram()
    for age_ms in ages_ms:
        made.add(age_ms)
    return made


@pytest.fixture
def records(database: Database[Document]) -> AgeRecords:
    return AgeRecords(database["queues"])


def test_rival_replicas_lose_no_age(client: Client, database: Database[Document]) -> None:
    start, failures = threading.Barrier(REPLICAS), []

    def write(queue: int) -> None:
        try:
            meta = MetaStore(client, database.name)
            start.wait()
            for number in range(WRITES):
                at = datetime.now(UTC)
                told = Marker(position=number, sent_at=at, as_of=at)
                meta.store_markers({queue: told}, ages_of(10.0, 100.0 * queue + number))
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=write, args=(queue,)) for queue in range(REPLICAS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    found = MetaStore(client, database.name).freshness()
    wanted = ages_of(
        *(
            age
            for queue in range(REPLICAS)
            for number in range(WRITES)
            for age in (10.0, 100.0 * queue + number)
        )
    )
    assert found.ages == wanted
    assert sorted(found.applied) == list(range(REPLICAS))


def update_commands(client: Client) -> int:
    return int(client.admin.command("serverStatus")["metrics"]["commands"]["update"]["total"])


def test_one_request_stores_positions_and_ages(meta: MetaStore, client: Client) -> None:
    told = Marker(position=5, sent_at=NOW, as_of=NOW)
    meta.store_markers({0: told}, ages_of(1.0))
    before = update_commands(client)
    meta.store_markers({0: told.model_copy(update={"position": 6})}, ages_of(1.0))
    assert update_commands(client) - before == 1
    assert meta.watermark(1) == 6
    assert meta.freshness().ages.samples == 2


def test_an_older_moment_never_replaces_a_newer_one(meta: MetaStore) -> None:
    for as_of in (NOW, NOW - timedelta(seconds=9), None):
        meta.store_markers({0: Marker(position=1, sent_at=NOW, as_of=as_of)})
    assert meta.applied_until() == {0: NOW}


def test_only_the_last_hour_is_read(records: AgeRecords, database: Database[Document]) -> None:
    for minutes in (0, 59, 61, 200):
        database.queues.bulk_write([records.addition(ages_of(minutes), NOW - timedelta(minutes=minutes))])
    found, since = records.last_hour(NOW)
    assert found == ages_of(0, 59)
    assert since == NOW.replace(second=0) - timedelta(minutes=59)


def test_old_minutes_expire_and_the_positions_beside_them_do_not(
    meta: MetaStore, database: Database[Document]
) -> None:
    meta.store_markers({0: Marker(position=1, sent_at=NOW, as_of=NOW)}, ages_of(1))
    expiries = {
        next(iter(index["key"])): index.get("expireAfterSeconds") for index in database.queues.list_indexes()
    }
    assert expiries["minute"] == 7200
    # MongoDB leaves alone what lacks the field.
    dated = {record["_id"]: "minute" in record for record in database.queues.find()}
    assert dated.pop("queues") is False
    assert list(dated.values()) == [True]


def test_nothing_recorded_is_nothing_known(meta: MetaStore) -> None:
    found = meta.freshness()
    assert (found.published, found.applied, found.ages.samples, found.since) == (None, {}, 0, None)


def test_the_servers_clock_is_asked_once_a_minute_and_goes_on_between(client: Client) -> None:
    now = [100.0]
    clock = ServerClock(client, clock=lambda: now[0])
    first = clock.now()
    assert abs(first - datetime.now(UTC)) < timedelta(seconds=5)
    now[0] += TRUSTED_S - 1
    assert clock.now() - first == timedelta(seconds=TRUSTED_S - 1)
    now[0] += 2
    assert clock.now() - first < timedelta(seconds=TRUSTED_S - 1)


def test_whoever_sees_a_position_sees_the_ages_that_led_to_it(
    database: Database[Document], meta: MetaStore
) -> None:
    spoilt = {"positions": "no object, so that no position can be written into it"}
    database["queues"].insert_one({"_id": "queues", **spoilt})
    with pytest.raises(BulkWriteError):
        meta.store_markers({0: Marker(position=1, sent_at=datetime.now(UTC))}, ages_of(10.0))
    assert meta.freshness().ages.samples == 1
