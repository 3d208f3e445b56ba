"""What DocumentDB forgets or drops is published again, on the stand-in."""

from __future__ import annotations

import threading

import pytest

from twin_assets.errors import ConfigurationError
from twin_assets.operations.capture import run_capture
from twin_assets.source.changes import Position
from twin_assets_tests.scenarios.assertions import assert_clean
from twin_assets_tests.scenarios.documents import post, words
from twin_assets_tests.waiting import wait_until

pytestmark = pytest.mark.servers


def test_a_position_that_the_log_has_forgotten_publishes_everything_again(
    twin, documents, capturing, streaming, in_step
):
    documents.posts.insert_many([post(number, words(5)) for number in range(3)])
    with capturing(), streaming():
        in_step()
    documents.posts.delete_one({"_id": 0})
    documents.posts.insert_one(post(9, words(5)))
    kept = twin.meta.load_position()
    twin.meta.save_position(Position({"_data": "forgotten"}, kept.revision, as_of=kept.as_of))
    seen = []
    with capturing(seen.append), streaming():
        in_step()
        wait_until(lambda: any(each.recovered for each in seen), what="the loss is made good")
        assert_clean(twin)


def test_a_database_that_is_dropped_and_filled_again_is_followed(
    twin, documents, capturing, streaming, in_step
):
    documents.posts.insert_many([post(number, words(5)) for number in range(3)])
    with capturing(), streaming():
        in_step()
        twin.source.client.drop_database(documents.name)
        documents.posts.insert_one(post(7, words(5)))
        in_step()
        wait_until(lambda: _is_clean(twin), what="everything is in step")
        assert_clean(twin)


def test_a_capture_without_recorded_changes_ends_with_what_to_do(twin, settings, documentdb):
    documentdb.enabled.discard(settings.mongodb_database)
    with pytest.raises(ConfigurationError, match="twin prepare-source"):
        run_capture(twin, stop=threading.Event(), report=lambda _: None)


def _is_clean(twin) -> bool:
    try:
        assert_clean(twin)
    except AssertionError:
        return False
    return True
