"""Generations by hand, and what a rebuild takes from the one before: real servers, a stream at work."""

from __future__ import annotations

import json

import pytest
from qdrant_client.models import PointVectors
from typer.testing import CliRunner, Result

from twin_assets.cli.app import app
from twin_assets.cli.exit_codes import ExitCode
from twin_assets.errors import ConfigurationError, GenerationRejected, TwinError
from twin_assets.models.generation import GenerationStatus
from twin_assets.models.kinds import DataType, Snapshot
from twin_assets.operations import rebuild as rebuild_module
from twin_assets.operations.audit import audit
from twin_assets.operations.generations import (
    drop,
    find_standby,
    list_generations,
    roll_back,
    switch,
)
from twin_assets.operations.rebuild import rebuild
from twin_assets.processing.hash_encoder import HashEncoder
from twin_assets_tests.scenarios.documents import post, words
from twin_assets_tests.scenarios.processes import environment_of

pytestmark = pytest.mark.servers

POST = DataType.POSTS
POSTS = 6


@pytest.fixture
def in_sync(twin, documents, capturing, streaming, in_step):
    """Some posts, all applied, and both flows at work."""
    documents.posts.insert_many([post(number, words(30, prefix=f"p{number}x")) for number in range(POSTS)])
    with capturing(), streaming():
        in_step()
        yield


@pytest.mark.usefixtures("in_sync")
def test_a_rebuild_with_the_same_recipe_embeds_nothing_and_makes_the_same_points(twin):
    before = twin.live_generation(Snapshot.VECTOR, POST)
    report = rebuild(twin, Snapshot.VECTOR, POST)
    assert report.generation.collection != before.collection
    assert (report.counts.chunks_embedded, report.counts.chunks_reused) == (0, report.chunks)
    assert report.chunks > POSTS
    assert vectors(twin, report.generation.collection) == vectors(twin, before.collection)


@pytest.mark.usefixtures("in_sync")
def test_without_reuse_everything_is_embedded_by_the_rebuild_and_by_the_stream_beside_it(twin):
    report = rebuild(twin, Snapshot.VECTOR, POST, reuse_vectors=False)
    assert (report.counts.chunks_embedded, report.counts.chunks_reused) == (report.chunks, 0)
    assert not report.generation.reuse_vectors


@pytest.mark.usefixtures("in_sync")
def test_a_vector_that_was_tampered_with_is_embedded_anew_and_not_passed_on(twin):
    live = twin.live_generation(Snapshot.VECTOR, POST)
    sound = vectors(twin, live.collection)
    victim = next(iter(sound))
    wrong = PointVectors(id=victim, vector=[1.0] + [0.0] * 31)
    twin.store.client.update_vectors(live.collection, [wrong], wait=True)
    report = rebuild(twin, Snapshot.VECTOR, POST)
    assert (report.counts.chunks_embedded, report.counts.chunks_reused) == (1, report.chunks - 1)
    assert vectors(twin, report.generation.collection) == sound


@pytest.mark.usefixtures("in_sync")
def test_the_stream_takes_a_vector_for_a_building_generation_from_the_live_one(
    twin, documents, in_step, monkeypatch
):
    """A refused proof leaves a building generation, which the stream feeds from then on."""
    monkeypatch.setattr(rebuild_module, "scan", lambda *_, **__: rebuild_module.Counts())
    monkeypatch.setattr("twin_assets.operations.proof.heal", lambda *_: None)
    with pytest.raises(GenerationRejected) as refused:
        rebuild(twin, Snapshot.VECTOR, POST)
    assert f"missing {POSTS}" in str(refused.value)
    assert refused.value.figures["matches_source"]["missing"] == POSTS
    (building,) = [each for each in twin.meta.generations(POST) if each.status is GenerationStatus.BUILDING]
    kept = documents.posts.find_one({"_id": 1})
    documents.posts.replace_one({"_id": 1}, {**kept, "platform": "another"})
    in_step()
    live = twin.live_generation(Snapshot.VECTOR, POST)
    in_building = vectors(twin, building.collection)
    assert in_building
    assert in_building.items() <= vectors(twin, live.collection).items()


@pytest.mark.usefixtures("in_sync")
def test_a_fresh_rebuild_throws_away_what_was_begun(twin, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(rebuild_module, "prove_new", _refuse)
        with pytest.raises(GenerationRejected):
            rebuild(twin, Snapshot.CLEANED, POST)
    (begun,) = [each for each in twin.meta.generations(POST) if each.status is GenerationStatus.BUILDING]
    report = rebuild(twin, Snapshot.CLEANED, POST, fresh=True)
    assert not report.is_resumed
    assert report.generation.collection != begun.collection
    assert not twin.collections.exists(begun.collection)


@pytest.mark.usefixtures("in_sync")
def test_a_rollback_shows_the_standby_which_has_been_fed_and_a_second_one_goes_back(
    twin, documents, in_step, chunk_texts
):
    old = twin.live_generation(Snapshot.VECTOR, POST)
    new = rebuild(twin, Snapshot.VECTOR, POST).generation
    documents.posts.replace_one({"_id": 1}, post(1, "written after the rebuild"))
    in_step()
    assert roll_back(twin, Snapshot.VECTOR, POST).collection == old.collection
    assert twin.collections.aliases()[old.alias] == old.collection
    assert chunk_texts(POST, "int:1") == ["written after the rebuild"]
    assert find_standby(twin, Snapshot.VECTOR, POST).collection == new.collection
    roll_back(twin, Snapshot.VECTOR, POST)
    assert twin.live_generation(Snapshot.VECTOR, POST).collection == new.collection


@pytest.mark.usefixtures("in_sync")
def test_a_standby_that_lost_a_point_is_not_rolled_back_to(twin):
    old = twin.live_generation(Snapshot.VECTOR, POST)
    new = rebuild(twin, Snapshot.VECTOR, POST).generation
    lost = next(iter(twin.store.scroll(old.collection)))
    twin.store.client.delete(old.collection, [lost.id], wait=True)
    with pytest.raises(GenerationRejected, match="stays live"):
        roll_back(twin, Snapshot.VECTOR, POST)
    assert twin.collections.aliases()[new.alias] == new.collection
    with pytest.raises(ConfigurationError, match="live already"):
        switch(twin, new.collection)


@pytest.mark.usefixtures("in_sync")
def test_generations_are_listed_and_only_those_that_nobody_reads_can_be_dropped(twin):
    old = twin.live_generation(Snapshot.CLEANED, POST)
    new = rebuild(twin, Snapshot.CLEANED, POST).generation
    leftover = "vector_posts__g9999"
    twin.store.client.create_collection(leftover, vectors_config={})
    found = {view.collection: view for view in list_generations(twin)}
    assert (found[new.collection].is_seen, found[new.collection].documents) == (True, POSTS)
    assert found[old.collection].generation.status is GenerationStatus.STANDBY
    assert found[leftover].generation is None
    with pytest.raises(ConfigurationError, match="what readers see"):
        drop(twin, new.collection)
    with pytest.raises(ConfigurationError, match="no generation"):
        drop(twin, "somebody_elses")
    for name in (old.collection, leftover):
        drop(twin, name)
        assert not twin.collections.exists(name)
    assert old.collection not in {view.collection for view in list_generations(twin)}
    with pytest.raises(ConfigurationError, match="no standby"):
        roll_back(twin, Snapshot.CLEANED, POST)


@pytest.mark.usefixtures("in_sync")
def test_without_a_grace_time_no_standby_is_kept(twin, settings):
    old = twin.live_generation(Snapshot.CLEANED, POST)
    twin.settings = settings.model_copy(update={"standby_hours": 0.0})
    report = rebuild(twin, Snapshot.CLEANED, POST)
    assert not twin.collections.exists(old.collection)
    assert audit(twin, report.generation, with_vectors=True).clean


@pytest.mark.usefixtures("in_sync")
def test_the_commands_say_what_they_did_and_what_there_is(twin, settings):
    old = twin.live_generation(Snapshot.VECTOR, POST).collection
    new = rebuild(twin, Snapshot.VECTOR, POST).generation.collection
    listed = {each["generation"]: each for each in json.loads(say(settings, "generations", "list", "--json"))}
    assert [(each["status"], each["is_seen"]) for each in (listed[new], listed[old])] == [
        ("live", True),
        ("standby", False),
    ]
    assert listed[new]["documents"] == POSTS
    facts = json.loads(say(settings, "generations", "inspect", old, "--json"))
    assert (facts["is_clean"], facts["documents"], facts["differences"]) == (True, POSTS, {})
    assert say(settings, "rollback", "posts") == f"vector_posts is now {old}, as before the last rebuild\n"
    assert say(settings, "generations", "switch", new) == f"vector_posts is now {new}\n"
    assert say(settings, "generations", "drop", old) == f"{old} is dropped\n"
    assert ", 0 vectors reused, " in say(settings, "rebuild", "posts", "--snapshot", "vector", "--no-reuse")


@pytest.mark.usefixtures("in_sync")
def test_some_documents_are_processed_anew_and_their_neighbours_are_not(
    twin, settings, documents, in_step, monkeypatch
):
    documents.posts.insert_one(post(7, "by somebody else") | {"author_id": "someone"})
    in_step()
    embedded: set[str] = set()
    original = HashEncoder.encode

    def encode(self, texts):
        embedded.update(texts)
        return original(self, texts)

    monkeypatch.setattr(HashEncoder, "encode", encode)
    said = say(settings, "rebuild", "posts", "--where", "author_id=someone")
    assert said.startswith("1 documents are on their way")
    in_step()
    assert embedded == {"by somebody else"}
    say(settings, "rebuild", "posts", "--id", "0", "--id", "str:0", "--id", "7")
    in_step()
    assert {text.partition("x")[0] for text in embedded} == {"by somebody else", "p0"}
    for wrong in ("--where=color=red", "--where=author_id", "--id=404"):
        assert run(settings, "rebuild", "posts", wrong).exit_code == ExitCode.WRONG_USAGE


def say(settings, *command: str) -> str:
    """Run a `twin` command that goes well; return what it prints."""
    done = run(settings, *command)
    assert done.exit_code == 0, (done.output, done.exception)
    return done.stdout


def run(settings, *command: str) -> Result:
    """Run a `twin` command; a TwinError ends it with its exit code, as `main` has it."""
    done = CliRunner().invoke(app, list(command), env=environment_of(settings))
    if isinstance(done.exception, TwinError):
        done.exit_code = done.exception.exit_code
    return done


def _refuse(*_: object, **__: object) -> None:
    raise GenerationRejected("a_generation", ["by the test"], {})


def vectors(twin, collection: str) -> dict:
    """Return the vectors of all chunks, by point id."""
    return {
        record.id: tuple(record.vector)
        for record in twin.store.scroll(collection, with_vectors=True)
        if not record.payload.get("head")
    }
