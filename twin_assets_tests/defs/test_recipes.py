from __future__ import annotations

import pytest

from twin_assets.defs.assets import build_collection
from twin_assets.defs.names import collection_key
from twin_assets.defs.recipes import describe_recipe
from twin_assets.models.kinds import DataType, Snapshot
from twin_assets_tests.defs.flows import quick_settings

SMALL = quick_settings(text_model="hash-16")
UNKNOWN = quick_settings(text_model="nobody/has-this-model")


def test_the_code_version_is_the_short_hash_of_the_recipe():
    note = describe_recipe(SMALL, Snapshot.VECTOR, DataType.POSTS)
    assert note.recipe is not None
    assert note.code_version == note.recipe.short
    assert note.warning == ""


def test_another_chunk_size_is_another_code_version():
    larger = quick_settings(text_model="hash-16", text_chunk_size=700)
    versions = {
        describe_recipe(each, Snapshot.VECTOR, DataType.POSTS).code_version for each in (SMALL, larger)
    }
    assert len(versions) == 2


@pytest.mark.parametrize("data_type", DataType)
def test_a_missing_model_is_told_in_the_description_and_hides_nothing(data_type: DataType):
    asset = build_collection(Snapshot.VECTOR, data_type, UNKNOWN)
    key = collection_key(Snapshot.VECTOR, data_type)
    description = asset.descriptions_by_key[key]
    assert "the model nobody/has-this-model cannot be loaded" in description
    assert "FeatureStore.search" in description
    assert len(asset.code_versions_by_key[key] or "") == 12


def test_a_missing_model_does_not_touch_the_cleaned_collections():
    assert describe_recipe(UNKNOWN, Snapshot.CLEANED, DataType.POSTS).warning == ""
