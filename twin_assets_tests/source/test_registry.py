"""The registry on a real server: numbers, rules, and the times that the design's proof stands on."""

from __future__ import annotations

import threading

import pytest

from twin_assets.errors import ConfigurationError
from twin_assets.models.generation import Generation, GenerationStatus
from twin_assets.models.kinds import DataType, Snapshot
from twin_assets.models.recipe import CleanedRecipe, Recipe, VectorRecipe
from twin_assets.source.documents import DocumentSource
from twin_assets.source.meta import MetaStore

pytestmark = pytest.mark.servers

CLEANED = CleanedRecipe(ascii_only=True)
VECTOR = VectorRecipe(
    cleaned=CLEANED, chunk_size=500, chunk_overlap=50, max_tokens=256, model="hash-8", dimension=8
)


def register(
    meta: MetaStore, recipe: Recipe = CLEANED, status: GenerationStatus = GenerationStatus.BUILDING
) -> Generation:
    snapshot = Snapshot(recipe.snapshot)
    return meta.register(snapshot=snapshot, data_type=DataType.POSTS, recipe=recipe, status=status)


@pytest.mark.parametrize("recipe", [CLEANED, VECTOR])
def test_a_generation_comes_back_as_it_was_registered(meta: MetaStore, recipe: Recipe) -> None:
    registered = register(meta, recipe)
    assert meta.generations() == [registered]
    assert registered.collection == f"{recipe.snapshot}_posts__g0001"
    assert meta.generations(DataType.ARTICLES) == []


def test_every_change_of_status_is_dated(meta: MetaStore) -> None:
    first = register(meta, status=GenerationStatus.LIVE)
    second = register(meta)
    meta.switch_live(second.collection)
    assert all(found.status_at is not None for found in meta.generations())
    meta.set_status(first.collection, GenerationStatus.RETIRED)
    retired = next(found for found in meta.generations(include_retired=True) if found.number == 1)
    assert retired.status_at is not None
    assert retired.status_at > retired.created_at


def test_since_lies_between_the_registration_and_the_next_read(
    meta: MetaStore, source: DocumentSource
) -> None:
    before = source.now()
    since = register(meta).since
    assert since is not None
    assert before < since <= source.now()


def test_a_read_as_new_as_since_finds_the_generation(meta: MetaStore, source: DocumentSource) -> None:
    registered = threading.Event()
    misses: list[int] = []

    def read_until_registered() -> None:
        while not registered.is_set():
            revision = source.now()
            for_all = meta.generations()
            if not for_all:
                misses.append(revision)

    reader = threading.Thread(target=read_until_registered)
    reader.start()
    while not misses:
        registered.wait(0.001)
    since = register(meta).since
    registered.set()
    reader.join()
    assert since is not None
    assert max(misses) < since


def test_only_one_generation_is_building_for_a_snapshot_and_type(meta: MetaStore) -> None:
    register(meta)
    with pytest.raises(ConfigurationError, match="building"):
        register(meta)
    register(meta, VECTOR)


def test_numbers_are_never_used_twice(meta: MetaStore) -> None:
    first = register(meta)
    meta.forget(first.collection)
    second = register(meta)
    meta.set_status(second.collection, GenerationStatus.RETIRED, "its model is gone")
    third = register(meta)
    assert [first.number, second.number, third.number] == [1, 2, 3]
    assert meta.generations() == [third]
    retired, _ = meta.generations(include_retired=True)
    assert (retired.status, retired.note) == (GenerationStatus.RETIRED, "its model is gone")


def test_a_switch_leaves_one_live_generation_and_the_other_as_standby(meta: MetaStore) -> None:
    first, other = register(meta), register(meta, VECTOR)
    meta.switch_live(other.collection)
    meta.switch_live(first.collection)
    second = register(meta)
    meta.switch_live(second.collection)
    meta.switch_live(second.collection)
    assert {each.collection: each.status for each in meta.generations()} == {
        first.collection: GenerationStatus.STANDBY,
        second.collection: GenerationStatus.LIVE,
        other.collection: GenerationStatus.LIVE,
    }
    meta.switch_live(first.collection)
    assert [each.status for each in meta.generations()][:2] == [
        GenerationStatus.LIVE,
        GenerationStatus.STANDBY,
    ]


def test_rival_switches_leave_exactly_one_live_generation(meta: MetaStore) -> None:
    collections = []
    for _ in range(4):
        collections.append(register(meta).collection)
        meta.set_status(collections[-1], GenerationStatus.STANDBY)
    rivals = [threading.Thread(target=meta.switch_live, args=[name]) for name in collections]
    for rival in rivals:
        rival.start()
    for rival in rivals:
        rival.join()
    statuses = [each.status for each in meta.generations()]
    assert sorted(statuses) == [GenerationStatus.LIVE] + [GenerationStatus.STANDBY] * 3


def test_a_second_live_generation_is_refused(meta: MetaStore) -> None:
    register(meta, status=GenerationStatus.LIVE)
    second = register(meta)
    with pytest.raises(ConfigurationError):
        meta.set_status(second.collection, GenerationStatus.LIVE)


def test_an_unknown_or_retired_generation_cannot_become_live(meta: MetaStore) -> None:
    with pytest.raises(ConfigurationError, match="no generation"):
        meta.switch_live("vector_posts__g0009")
    with pytest.raises(ConfigurationError, match="no generation"):
        meta.set_status("vector_posts__g0009", GenerationStatus.STANDBY)
    retired = register(meta)
    meta.set_status(retired.collection, GenerationStatus.RETIRED)
    with pytest.raises(ConfigurationError, match="retired"):
        meta.switch_live(retired.collection)
