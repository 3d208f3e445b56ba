"""Our own records on a real server."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from pymongo.database import Database

from twin_assets.errors import ConfigurationError
from twin_assets.models.change import Marker
from twin_assets.models.kinds import DataType
from twin_assets.source.changes import Position
from twin_assets.source.client import Document
from twin_assets.source.meta import MetaStore

pytestmark = pytest.mark.servers


def marker(position: int) -> Marker:
    return Marker(position=position, sent_at=datetime.now(UTC))


def test_a_position_comes_back_as_it_was_saved(meta: MetaStore) -> None:
    assert meta.load_position() is None
    for position in (Position(None, 1 << 51), Position({"_data": "82AB"}, 7, start_after=True)):
        meta.save_position(position)
        assert meta.load_position() == position
    meta.clear_position()
    assert meta.load_position() is None


def test_rechecks_add_up_until_they_are_done(meta: MetaStore) -> None:
    assert meta.load_recheck() is None
    meta.save_recheck([DataType.POSTS], 9)
    meta.save_recheck([DataType.ARTICLES, DataType.POSTS], 5)
    assert meta.load_recheck() == ({DataType.POSTS, DataType.ARTICLES}, 9)
    meta.clear_recheck()
    assert meta.load_recheck() is None


def test_the_watermark_is_the_slowest_queue_and_unknown_until_each_has_a_marker(meta: MetaStore) -> None:
    assert meta.watermark(2) is None
    meta.store_markers({})
    meta.store_markers({0: marker(10)})
    assert meta.watermark(2) is None
    meta.store_markers({1: marker(7)})
    assert meta.watermark(2) == 7
    assert meta.watermark(1) == 10


def test_the_newest_that_was_applied_is_the_fastest_queues(meta: MetaStore) -> None:
    assert meta.newest_applied() is None
    meta.store_markers({0: marker(10), 3: marker(12)})
    assert meta.newest_applied() == 12


def test_the_watermark_never_moves_backwards(meta: MetaStore) -> None:
    meta.store_markers({0: marker(10), 1: marker(20)})
    meta.store_markers({0: marker(9), 1: marker(21)})
    assert meta.watermark(2) == 10
    assert meta.watermark(1) == 10


def test_another_number_of_queues_is_refused_and_says_how_to_migrate(meta: MetaStore) -> None:
    meta.store_markers({0: marker(1)})
    meta.check_queues(8)
    meta.check_queues(8)
    with pytest.raises(ConfigurationError, match=r"TWIN_RABBITMQ_QUEUES is 4.*8 queues.*delete the queues"):
        meta.check_queues(4)


def test_attempts_are_counted_by_document_and_forgotten_when_told(meta: MetaStore) -> None:
    assert [meta.count_attempt("posts/int:1") for _ in range(3)] == [1, 2, 3]
    assert meta.count_attempt("posts/int:2") == 1
    meta.clear_attempts([])
    meta.clear_attempts(["posts/int:1", "posts/int:3"])
    assert meta.count_attempt("posts/int:1") == 1
    assert meta.count_attempt("posts/int:2") == 2


def test_attempts_expire(meta: MetaStore, database: Database[Document]) -> None:
    meta.count_attempt("posts/int:1")
    expiries = [index.get("expireAfterSeconds") for index in database.attempts.list_indexes()]
    assert 86400 in expiries
