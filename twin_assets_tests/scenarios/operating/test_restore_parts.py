"""Ways back on real servers, with the compose file's own commands and nothing of Dagster around."""

from __future__ import annotations

import hashlib
import json
from contextlib import contextmanager

import pytest
from dagster import asset, materialize
from dagster._core.test_utils import instance_for_test

from twin_assets.models.kinds import DataType, Snapshot
from twin_assets.operations.capture import run_capture
from twin_assets.operations.rebuild import rebuild
from twin_assets.operations.repair import audit_live, await_mended, repair
from twin_assets.operations.twin import open_twin
from twin_assets.processing.hash_encoder import HashEncoder
from twin_assets_tests.scenarios.assertions import assert_clean
from twin_assets_tests.scenarios.documents import post
from twin_assets_tests.scenarios.house import house
from twin_assets_tests.scenarios.operating.contents import POSTS, statuses
from twin_assets_tests.scenarios.operating.flowing import flowing
from twin_assets_tests.scenarios.running import running
from twin_assets_tests.waiting import wait_until

pytestmark = pytest.mark.servers

POST = DataType.POSTS


@asset
def thing() -> None:
    """A thing."""


@pytest.fixture
def encoded(monkeypatch) -> list[str]:
    """Every text that an encoder is given."""
    texts: list[str] = []
    encode = HashEncoder.encode

    def counted(self, given):
        texts.extend(given)
        return encode(self, given)

    monkeypatch.setattr(HashEncoder, "encode", counted)
    return texts


def mend(twin) -> None:
    """Repair what differs, as `twin repair` does."""
    result = repair(twin, *audit_live(twin))
    await_mended(twin, result, wait_s=60)
    assert result.is_mended


@contextmanager
def dagster_on(postgres):
    storage = {"postgres": {"postgres_url": postgres.url}}
    with instance_for_test(overrides={"storage": storage}) as instance:
        yield instance


def materializations(postgres) -> int:
    with dagster_on(postgres) as instance:
        return len(instance.fetch_materializations(thing.key, limit=10).records)


def readers_names(twin) -> dict[str, str]:
    return twin.collections.aliases()


def test_a_whole_installation_is_restored_into_an_empty_one(
    twin, documents, settings, steps, lived_in, filled, encoded, tmp_path_factory
):
    with dagster_on(lived_in.postgres) as instance:
        materialize([thing], instance=instance)
    before, names = statuses(twin), readers_names(twin)
    assert sorted(before.values()).count("standby") == 1
    name = steps.back_up()
    documents.posts.delete_one({"_id": 1})
    with house(tmp_path_factory.mktemp("empty")) as other:
        new = other.settings(mongodb_database=settings.mongodb_database)
        there = other.steps(steps.backups, new)
        assert "is as it was written" in there.run("backup", "twin", "backup", "verify", "/backups", name)
        there.run("backup-postgres", "restore", name)
        there.run("backup-mongo", "restore-all", name)
        there.run("backup-rabbitmq", "restore", name)
        said = there.run("backup-qdrant", "twin", "backup", "restore-snapshots", "/backups", name)
        assert "7 collections are as of" in said
        assert materializations(other.postgres) == 1
        encoded.clear()
        with open_twin(new) as restored:
            assert (statuses(restored), readers_names(restored)) == (before, names)
            with flowing(restored):
                assert_clean(restored)
            assert restored.source.client[new.mongodb_database].posts.count_documents({}) == POSTS
    assert encoded == []


def test_an_older_state_is_restored_into_a_running_installation(twin, documents, steps, filled):
    name = steps.back_up()
    with flowing(twin):
        documents.posts.replace_one({"_id": 1}, post(1, "written after the backup"))
        documents.posts.delete_one({"_id": 2})
        documents.posts.insert_one(post(100, "new after the backup"))
    steps.run("backup-mongo", "restore", name)
    with flowing(twin):
        mend(twin)
        assert_clean(twin)
    assert sorted(each["_id"] for each in documents.posts.find()) == list(range(POSTS))


def test_a_lost_qdrant_is_restored_and_only_what_changed_since_is_embedded(
    twin, documents, steps, filled, encoded
):
    name = steps.back_up()
    names = readers_names(twin)
    with flowing(twin):
        documents.posts.replace_one({"_id": 1}, post(1, "written after the backup"))
    for collection in twin.collections.names():
        twin.collections.drop(collection)
    steps.run("backup-qdrant", "twin", "backup", "restore-snapshots", "/backups", name)
    assert readers_names(twin) == names
    encoded.clear()
    with flowing(twin):
        mend(twin)
        assert_clean(twin)
    assert set(encoded) == {"written after the backup"}


def test_a_qdrant_that_the_stream_found_empty_gets_its_vectors_back_by_a_rebuild(
    twin, documents, steps, filled, encoded
):
    name = steps.back_up()
    old = twin.live_generation(Snapshot.VECTOR, DataType.ARTICLES).collection
    for collection in twin.collections.names():
        twin.collections.drop(collection)
    with flowing(twin):
        assert twin.live_generation(Snapshot.VECTOR, DataType.ARTICLES).collection != old
    said = steps.run("backup-qdrant", "twin", "backup", "restore-snapshots", "/backups", name)
    assert f"{old} is a standby now" in said
    encoded.clear()
    with flowing(twin):
        for snapshot in Snapshot:
            rebuild(twin, snapshot, DataType.ARTICLES)
        assert_clean(twin)
    assert encoded == []
    assert {found.collection for found in twin.meta.generations(DataType.ARTICLES)} > {old}


def test_a_snapshot_that_qdrant_does_not_take_is_one_line(twin, steps, filled):
    name = steps.back_up()
    live = twin.live_generation(Snapshot.CLEANED, POST).collection
    file = steps.backups / name / f"qdrant/{live}.snapshot"
    manifest = steps.backups / name / "manifest.json"
    sound = hashlib.sha256(file.read_bytes()).hexdigest()
    file.write_bytes(b"not a snapshot" * 100)
    stated = manifest.read_text().replace(sound, hashlib.sha256(file.read_bytes()).hexdigest())
    found = json.loads(stated)
    found["files"][f"qdrant/{live}.snapshot"]["bytes"] = file.stat().st_size
    manifest.write_text(json.dumps(found))
    said = steps.run(
        "backup-qdrant", "twin", "backup", "restore-snapshots", "/backups", name, "--replace", fails=True
    )
    assert f"{live}.snapshot: Qdrant does not take it (HTTP " in said
    assert "Traceback" not in said


def test_a_lost_broker_is_restored_and_nothing_that_waited_in_it_is_lost(
    twin, documents, settings, steps, filled, encoded
):
    name = steps.back_up()
    documents.posts.replace_one({"_id": 1}, post(1, "captured, and never applied"))
    with running(lambda own, stop: run_capture(own, stop=stop, report=lambda _: None), settings):
        target = twin.source.now()
        wait_until(lambda: _published(twin, target), what="capture has published it", limit_s=60)
    steps.run("backup-rabbitmq", "restore", name)
    encoded.clear()
    with flowing(twin):
        assert_clean(twin)
    assert set(encoded) == {"captured, and never applied"}


def _published(twin, target: int) -> bool:
    position = twin.meta.load_position()
    return position is not None and position.revision >= target


def test_collections_that_are_there_are_replaced_only_on_request(twin, documents, steps, filled):
    name = steps.back_up()
    refused = ("backup-qdrant", "twin", "backup", "restore-snapshots", "/backups", name)
    assert "`--replace` puts the backup in their place" in steps.run(*refused, fails=True)
    with flowing(twin):
        documents.posts.replace_one({"_id": 1}, post(1, "written after the backup"))
    steps.run(*refused, "--replace")
    with flowing(twin):
        mend(twin)
        assert_clean(twin)


def test_what_the_registry_knows_otherwise_is_left_out_and_said(twin, steps, filled):
    name = steps.back_up()
    old = twin.live_generation(Snapshot.CLEANED, DataType.ARTICLES).collection
    new = rebuild(twin, Snapshot.CLEANED, DataType.ARTICLES).generation.collection
    twin.collections.drop(old)
    twin.meta.forget(old)
    said = steps.run("backup-qdrant", "twin", "backup", "restore-snapshots", "/backups", name, "--replace")
    assert f"{old} is left out: the registry in MongoDB does not know it" in said
    assert twin.collections.aliases()["cleaned_articles"] == new
    twin.collections.drop(new)
    said = steps.run(
        "backup-qdrant", "twin", "backup", "restore-snapshots", "/backups", name, "--replace", fails=True
    )
    assert f"{new} is in the registry, but neither in Qdrant nor in this backup" in said
