"""Documents of MongoDB are lost or altered while Dagster keeps everything alive: the documented way back."""

from __future__ import annotations

import pytest

from twin_assets.operations.twin import open_twin
from twin_assets_tests.scenarios.assertions import assert_clean
from twin_assets_tests.scenarios.documents import post
from twin_assets_tests.scenarios.operating.contents import chunks_seen, fill, filled_with
from twin_assets_tests.scenarios.operating.flowing import catch_up
from twin_assets_tests.scenarios.operating.readers import documents_seen, reading
from twin_assets_tests.scenarios.operating.supervised import CAPTURE, RUN_S, STREAM
from twin_assets_tests.waiting import wait_until

pytestmark = [pytest.mark.servers, pytest.mark.slow, pytest.mark.timeout(1500)]

POSTS = 300
# Nobody reads it: it has a restore take seconds, in which most documents are not there.
ATTACHED_BYTES = 200_000
LOST, ALTERED = range(5), 6


@pytest.fixture
def settings(supervised_settings):
    return supervised_settings


@pytest.fixture
def twin(settings):
    """Nothing is emptied: servers and sensors are this test's own."""
    with open_twin(settings) as opened:
        yield opened


def test_documents_come_back_while_readers_keep_all_others_and_just_those_are_embedded(
    twin, documents, steps, settings, operator
):
    fill(documents, posts=POSTS, attached_bytes=ATTACHED_BYTES)
    operator.await_at_work(CAPTURE, STREAM)
    catch_up(twin)
    assert operator.chunks_embedded() == chunks_seen(twin)
    name = steps.back_up()
    spoil(documents)
    catch_up(twin)
    with reading(settings) as fewest:
        end_the_runs(operator, twin, documents)
        embedded = operator.chunks_embedded()
        operator.await_tick("give_up_dead_runs")
        steps.run("backup-mongo", "restore", name)
        assert not operator.is_at_work(CAPTURE)
        assert not operator.is_at_work(STREAM)
        operator.switch_on()
        operator.await_at_work(CAPTURE, STREAM)
        wait_until(lambda: operator.twin("repair").returncode == 0, what="nothing differs", limit_s=RUN_S)
        catch_up(twin)
    unhurt = filled_with(posts=POSTS - len(LOST))
    assert [alias for alias in unhurt if fewest[alias] < unhurt[alias]] == [], fewest
    checked = operator.twin("check")
    assert checked.returncode == 0, checked.stdout
    assert_clean(twin)
    assert documents_seen(twin.store) == filled_with(posts=POSTS)
    assert operator.chunks_embedded() - embedded == chunks_seen(twin, *LOST, ALTERED)
    assert operator.errors(STREAM) == operator.errors(CAPTURE) == []


def end_the_runs(operator, twin, documents) -> None:
    """Do so as the docs say, while a spoilt version of everything waits in the queues."""
    operator.switch_off("keep_streaming")
    operator.terminate(STREAM)
    documents.posts.update_many({}, {"$set": {"content.text": "spoilt, and never applied"}})
    target = twin.source.now()
    wait_until(lambda: twin.meta.load_position().revision >= target, what="it is published", limit_s=RUN_S)
    operator.switch_off("keep_capturing")
    operator.terminate(CAPTURE)


def spoil(documents) -> None:
    documents.posts.delete_many({"_id": {"$in": [*LOST]}})
    documents.posts.replace_one({"_id": ALTERED}, post(ALTERED, "written after the backup"))
    documents.posts.insert_one(post(1000, "new after the backup"))
