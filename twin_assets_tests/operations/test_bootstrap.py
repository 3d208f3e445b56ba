"""What a crash of a registration or a switch left behind, and how the next start takes it up."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

from twin_assets.errors import CollectionsUnknown, ConfigurationError, ModelUnavailable
from twin_assets.models.change import Change
from twin_assets.models.generation import GenerationStatus
from twin_assets.models.kinds import DataType, Snapshot
from twin_assets.models.recipe import VectorRecipe
from twin_assets.operations import rebuild as rebuild_module
from twin_assets.operations.bootstrap import ensure_generations
from twin_assets.operations.checks import evaluate_checks
from twin_assets.operations.rebuild import rebuild
from twin_assets.operations.twin import Twin
from twin_assets.processing.encoder import Encoder, load_encoder
from twin_assets.processing.encoder_options import EncoderOptions
from twin_assets.processing.recipes import recipe_of

pytestmark = pytest.mark.servers

Apply = Callable[[list[Change]], None]


def test_a_registration_that_a_crash_cut_in_two_is_not_taken_over(twin: Twin) -> None:
    live = twin.live_generation(Snapshot.CLEANED, DataType.POSTS)
    assert live is not None
    twin.collections.drop(live.collection)
    half = twin.meta.register(snapshot=Snapshot.CLEANED, data_type=DataType.POSTS, recipe=live.recipe)
    registry = twin.source.client[twin.settings.meta_database]["generations"]
    registry.update_one({"_id": half.collection}, {"$set": {"since": None}})
    (created,) = ensure_generations(twin, stop=threading.Event())
    assert created.since is not None
    assert twin.live_generation(Snapshot.CLEANED, DataType.POSTS).since is not None  # type: ignore[union-attr]


def test_a_registration_that_another_one_swept_away_is_refused(
    twin: Twin, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = recipe_of(twin.settings, Snapshot.CLEANED, DataType.ARTICLES)
    write = twin.meta._write

    def insert_and_lose(call: Callable[[], object], name: str) -> object:
        result = write(call, name)
        for found in twin.meta.generations(DataType.ARTICLES):
            if found.status is GenerationStatus.BUILDING:
                twin.meta.forget(found.collection)
        return result

    monkeypatch.setattr(twin.meta, "_write", insert_and_lose)
    with pytest.raises(ConfigurationError):
        twin.meta.register(snapshot=Snapshot.CLEANED, data_type=DataType.ARTICLES, recipe=recipe)


def test_changes_go_on_while_a_generation_is_registered_and_not_created_yet(
    twin: Twin, documents, apply: Apply
) -> None:
    recipe = recipe_of(twin.settings, Snapshot.VECTOR, DataType.POSTS)
    building = twin.meta.register(snapshot=Snapshot.VECTOR, data_type=DataType.POSTS, recipe=recipe)
    documents["posts"].insert_one(
        {"_id": 1, "platform": "p", "content": {"text": "some text"}, "author_id": "a"}
    )
    apply([Change(type=DataType.POSTS, entry="int:1", revision=0)])
    report = rebuild(twin, Snapshot.VECTOR, DataType.POSTS)
    assert report.generation.collection == building.collection
    assert report.documents == 1


def test_a_rebuild_has_its_model_at_hand_before_a_stream_hears_of_the_generation(
    twin: Twin, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[list[GenerationStatus]] = []

    def load_and_look(recipe: VectorRecipe, options: EncoderOptions) -> Encoder:
        seen.append([found.status for found in twin.meta.generations(DataType.ARTICLES)])
        return load_encoder(recipe, options)

    monkeypatch.setattr(rebuild_module, "load_encoder", load_and_look)
    rebuild(twin, Snapshot.VECTOR, DataType.ARTICLES)
    assert len(seen) == 1
    assert GenerationStatus.BUILDING not in seen[0]
    without = twin.settings.model_copy(update={"text_model": "nobody/has-this-model"})
    monkeypatch.setattr(twin, "settings", without)
    known = twin.meta.generations(include_retired=True)
    with pytest.raises(ModelUnavailable):
        rebuild(twin, Snapshot.VECTOR, DataType.ARTICLES)
    assert twin.meta.generations(include_retired=True) == known


def test_a_rebuild_never_drops_the_collection_that_readers_see(twin: Twin) -> None:
    live = twin.live_generation(Snapshot.CLEANED, DataType.REPOSITORIES)
    assert live is not None
    other = live.recipe.model_copy(update={"ascii_only": True})
    building = twin.meta.register(snapshot=Snapshot.CLEANED, data_type=DataType.REPOSITORIES, recipe=other)
    twin.collections.create(building)
    twin.collections.switch(building)  # and here the switch was cut in two
    report = rebuild(twin, Snapshot.CLEANED, DataType.REPOSITORIES)
    assert report.generation.collection != building.collection
    assert twin.collections.exists(building.collection)


def test_collections_of_which_mongodb_has_no_record_are_not_taken_over(
    twin: Twin, documents, apply: Apply
) -> None:
    documents["posts"].insert_one(
        {"_id": 1, "platform": "p", "content": {"text": "some text"}, "author_id": "a"}
    )
    apply([Change(type=DataType.POSTS, entry="int:1", revision=0)])
    held = (twin.collections.names(), twin.collections.aliases(), twin.store.count("vector_posts"))
    records = twin.source.client[twin.settings.meta_database]["generations"]
    lost = records.find().to_list()
    records.delete_many({})
    try:
        with pytest.raises(CollectionsUnknown):
            ensure_generations(twin, stop=threading.Event())
        with pytest.raises(CollectionsUnknown):
            rebuild(twin, Snapshot.VECTOR, DataType.POSTS)
        with pytest.raises(CollectionsUnknown):
            apply([Change(type=DataType.POSTS, entry="int:1", revision=0)])
        notes = {str(result.metadata["note"]) for result in evaluate_checks(twin)}
    finally:
        records.insert_many(lost)
    assert held == (twin.collections.names(), twin.collections.aliases(), twin.store.count("vector_posts"))
    assert len(notes) == 1
    assert notes.pop().startswith("Qdrant has cleaned_articles__g")
