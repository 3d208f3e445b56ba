"""MongoDB is lost as a whole and comes back empty, while Dagster keeps everything alive."""

from __future__ import annotations

import shutil
import threading

import httpx
import pytest

from twin_assets.models.generation import is_ours
from twin_assets.models.kinds import DataType, Snapshot
from twin_assets.operations.patience import Patience
from twin_assets.operations.rebuild import rebuild
from twin_assets.operations.twin import open_twin
from twin_assets_tests.scenarios.assertions import assert_clean
from twin_assets_tests.scenarios.documents import article, post
from twin_assets_tests.scenarios.operating.contents import POSTS, fill, filled_with, statuses
from twin_assets_tests.scenarios.operating.flowing import catch_up
from twin_assets_tests.scenarios.operating.readers import documents_seen, reading
from twin_assets_tests.scenarios.operating.supervised import CAPTURE, RUN_S, STREAM, make_user
from twin_assets_tests.scenarios.own_servers import kill, restart
from twin_assets_tests.waiting import wait_until

pytestmark = [pytest.mark.servers, pytest.mark.slow, pytest.mark.timeout(1500)]


@pytest.fixture
def settings(supervised_settings):
    return supervised_settings


@pytest.fixture
def twin(settings):
    """Nothing is emptied: servers and sensors are this test's own."""
    with open_twin(settings) as opened:
        yield opened


def test_an_empty_mongodb_has_nothing_emptied_and_a_restore_brings_all_back_without_embedding(
    lived_in, twin, documents, steps, settings, operator
):
    fill(documents)
    operator.await_at_work(CAPTURE, STREAM)
    catch_up(twin)
    rebuild(twin, Snapshot.VECTOR, DataType.POSTS)
    # With an election more behind it than a new one has: drivers that know it take no younger one for it.
    lived_in.servers["mongodb"].stop()
    restart(lived_in.servers["mongodb"])
    names = twin.collections.aliases()
    # Just after its start it may refuse a time that this client has from before.
    generations = Patience(threading.Event())(lambda: statuses(twin))
    name = steps.back_up()
    documents.posts.insert_one(post(1000, "new after the backup"))
    catch_up(twin)
    seen = documents_seen(twin.store)
    with reading(settings) as fewest:
        lose_mongodb(lived_in)
        await_refusal(settings, operator)
    assert fewest == seen == filled_with(posts=POSTS + 1)
    operator.switch_off()
    operator.terminate(CAPTURE, STREAM)
    delete_collections(settings, twin)
    for number in range(settings.rabbitmq_queues):
        lived_in.control_broker("delete_queue", f"twin.changes.{number}")
    embedded = operator.chunks_embedded()
    steps.run("backup", "twin", "backup", "verify", "/backups", name)
    steps.run("backup-mongo", "restore-all", name)
    steps.run("backup-qdrant", "twin", "backup", "restore-snapshots", "/backups", name)
    operator.switch_on()
    operator.await_at_work(CAPTURE, STREAM)
    with open_twin(settings) as restored:
        catch_up(restored)
        checked = operator.twin("check")
        assert checked.returncode == 0, checked.stdout
        assert_clean(restored)
        assert (restored.collections.aliases(), statuses(restored)) == (names, generations)
        assert documents_seen(restored.store) == filled_with()
    assert operator.chunks_embedded() == embedded


def lose_mongodb(lived_in) -> None:
    """Have an empty one take its place, with the users that the image and mongo-init make."""
    mongod = lived_in.servers["mongodb"]
    kill(mongod)
    shutil.rmtree(mongod.folder)
    restart(mongod)
    make_user(lived_in)


def await_refusal(settings, operator) -> None:
    """Wait until capture works on with the empty MongoDB, and the stream has ended and says why."""
    with open_twin(settings) as empty:
        wait_until(empty.meta.load_position, what="capture goes on", limit_s=RUN_S)
        empty.source.client["twin"].articles.insert_one(article("early", "written into it"))
        wait_until(
            lambda: any("MongoDB's twin_meta knows none" in said for said in operator.errors(STREAM)),
            what="the stream says that MongoDB knows nothing",
            limit_s=RUN_S,
        )
        assert empty.meta.generations(include_retired=True) == []
    said = operator.errors(CAPTURE) + operator.errors(STREAM)
    assert [each for each in said if not each.startswith("twin_assets.errors.")] == []
    failed = operator.twin("check")
    assert failed.returncode == 1
    assert "MongoDB's twin_meta knows none" in failed.stdout + failed.stderr


def delete_collections(settings, twin) -> None:
    url, key = settings.require_url("qdrant_url"), settings.qdrant_api_key.get_secret_value()
    for collection in filter(is_ours, twin.collections.names()):
        httpx.delete(f"{url}/collections/{collection}", headers={"api-key": key}).raise_for_status()
