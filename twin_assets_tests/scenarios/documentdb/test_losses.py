"""What DocumentDB forgets or drops is published again, on the stand-in."""

from __future__ import annotations

import threading
import time

import pytest

from twin_assets.errors import ChangesNotRecorded
from twin_assets.models.kinds import DataType
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
    documentdb.disable(settings.mongodb_database)
    with pytest.raises(ChangesNotRecorded, match="twin prepare-source"):
        run_capture(twin, stop=threading.Event(), report=lambda _: None)
    assert twin.meta.load_position() is None


@pytest.mark.parametrize("was_watched", [False, True])
def test_what_was_written_while_nothing_was_recorded_is_published_once_it_is(
    twin, settings, documents, documentdb, capturing, streaming, in_step, chunk_texts, was_watched
):
    documents.posts.insert_one(post(1, "before"))
    if was_watched:
        with capturing(), streaming():
            in_step()
    documentdb.disable(settings.mongodb_database)
    with pytest.raises(ChangesNotRecorded):
        run_capture(twin, stop=threading.Event(), report=lambda _: None)
    documents.posts.replace_one({"_id": 1}, post(1, "unrecorded"))
    # The second in which recording begins shows what came earlier in it.
    written = time.time()
    wait_until(lambda: int(time.time()) > int(written), what="that second is over")
    documentdb.enable(settings.mongodb_database)
    with capturing(), streaming():
        in_step()
        assert chunk_texts(DataType.POSTS, "int:1") == ["unrecorded"]
        assert_clean(twin)


def _is_clean(twin) -> bool:
    try:
        assert_clean(twin)
    except AssertionError:
        return False
    return True
