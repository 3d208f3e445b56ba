"""What is let go of, when, and what stands in Qdrant and in the registry while a crash cuts it short."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from twin_assets.errors import GenerationMissing
from twin_assets.models.change import Marker, revision_of
from twin_assets.models.generation import Generation, GenerationStatus
from twin_assets.models.kinds import DataType, Snapshot
from twin_assets.operations.retention import sweep
from twin_assets.operations.twin import Twin
from twin_assets.processing.recipes import recipe_of
from twin_assets_tests.operations.conftest import QUEUES

pytestmark = pytest.mark.servers


def register(twin: Twin, data_type: DataType, *, created: bool = True) -> Generation:
    recipe = recipe_of(twin.settings, Snapshot.CLEANED, data_type)
    generation = twin.meta.register(snapshot=Snapshot.CLEANED, data_type=data_type, recipe=recipe)
    if created:
        twin.collections.create(generation)
    return generation


def mark_all(twin: Twin) -> None:
    marker = Marker(position=revision_of(int(datetime.now(UTC).timestamp()), 0), sent_at=datetime.now(UTC))
    twin.meta.store_markers(dict.fromkeys(range(QUEUES), marker))


def test_the_grace_of_a_standby_begins_when_it_became_one(twin: Twin) -> None:
    old = twin.live_generation(Snapshot.CLEANED, DataType.POSTS)
    assert old is not None
    long_ago = {"$set": {"created_at": (datetime.now(UTC) - timedelta(days=99)).isoformat()}}
    registry = twin.source.client[twin.settings.meta_database]["generations"]
    registry.update_one({"_id": old.collection}, long_ago)
    new = register(twin, DataType.POSTS)
    twin.collections.switch(new)
    twin.meta.switch_live(new.collection)
    assert sweep(twin) == []
    later = datetime.now(UTC) + timedelta(hours=twin.settings.standby_hours + 1)
    assert sweep(twin, now=later) == [old.collection]
    assert not twin.collections.exists(old.collection)
    assert old.collection not in [found.collection for found in twin.meta.generations(include_retired=True)]


def test_a_crash_while_a_standby_is_dropped_leaves_no_collection_behind(
    twin: Twin, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = twin.live_generation(Snapshot.CLEANED, DataType.ARTICLES)
    assert old is not None
    new = register(twin, DataType.ARTICLES)
    twin.collections.switch(new)
    twin.meta.switch_live(new.collection)
    later = datetime.now(UTC) + timedelta(hours=twin.settings.standby_hours + 1)
    with monkeypatch.context() as patch:
        patch.setattr(twin.collections, "drop", _crash)
        with pytest.raises(KeyboardInterrupt):
            sweep(twin, now=later)
    sweep(twin, now=later)
    assert not twin.collections.exists(old.collection)


def test_a_generation_that_is_not_created_yet_does_not_end_the_sweep(twin: Twin) -> None:
    mark_all(twin)
    building = register(twin, DataType.REPOSITORIES, created=False)
    sweep(twin)
    twin.meta.forget(building.collection)


def test_a_live_collection_that_is_lost_is_not_passed_over(twin: Twin) -> None:
    mark_all(twin)
    live = twin.live_generation(Snapshot.VECTOR, DataType.REPOSITORIES)
    assert live is not None
    twin.collections.drop(live.collection)
    with pytest.raises(GenerationMissing):
        sweep(twin)
    assert live.status is GenerationStatus.LIVE


def test_a_rebuild_that_nobody_works_at_any_more_is_let_go_and_one_at_work_is_not(twin: Twin) -> None:
    begun = register(twin, DataType.POSTS)
    two_days_later = datetime.now(UTC) + timedelta(hours=2 * twin.settings.standby_hours)
    registry = twin.source.client[twin.settings.meta_database]["generations"]
    registry.update_one({"_id": begun.collection}, {"$set": {"worked_at": two_days_later.isoformat()}})
    sweep(twin, now=two_days_later)
    assert twin.collections.exists(begun.collection)
    twin.meta.touch(begun.collection)
    assert begun.collection in sweep(twin, now=two_days_later)
    assert not twin.collections.exists(begun.collection)


def _crash(collection: str) -> None:
    raise KeyboardInterrupt(collection)
