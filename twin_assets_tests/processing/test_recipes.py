from __future__ import annotations

from pathlib import Path

import pytest

from twin_assets.errors import ModelUnavailable
from twin_assets.models.kinds import DataType, Snapshot
from twin_assets.processing.recipes import cleaned_recipe, recipe_of, vector_recipe
from twin_assets.settings import Settings
from twin_assets_tests.processing.builders import POOLING, PROSE, write_json


def settings(**fields: object) -> Settings:
    return Settings(_env_file=None, **fields)


@pytest.mark.parametrize("data_type", DataType)
def test_small_profile_takes_the_bundled_model_for_all_and_no_instruction(data_type: DataType) -> None:
    recipe = vector_recipe(settings(), data_type)
    assert (recipe.model, recipe.dimension, recipe.max_tokens) == ("all-MiniLM-L6-v2", 384, 256)
    assert recipe.instruction is None


def test_full_profile_takes_instructor_for_code_alone() -> None:
    full = settings(profile="full")
    assert {vector_recipe(full, data_type).model for data_type in PROSE} == {"all-MiniLM-L6-v2"}
    with pytest.raises(ModelUnavailable, match="hkunlp/instructor-xl"):
        vector_recipe(full, DataType.REPOSITORIES)


def test_code_model_that_is_set_wins_over_the_profile() -> None:
    recipe = vector_recipe(settings(profile="full", code_model="hash-64"), DataType.REPOSITORIES)
    assert (recipe.model, recipe.dimension, recipe.instruction) == ("hash-64", 64, None)


def test_sizes_are_those_of_the_type() -> None:
    chosen = settings(text_chunk_size=300, text_chunk_overlap=30, code_chunk_size=700, code_chunk_overlap=70)
    sizes = [
        (r.chunk_size, r.chunk_overlap) for r in (vector_recipe(chosen, data_type) for data_type in DataType)
    ]
    assert sizes == [(300, 30), (300, 30), (700, 70)]


def test_path_of_a_model_is_absolute_so_that_runs_in_other_folders_find_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    modules = [{"type": "x.Transformer", "path": ""}, {"type": "x.Pooling", "path": "1_Pooling"}]
    write_json(tmp_path / "mine" / "modules.json", modules)
    write_json(tmp_path / "mine" / "config.json", {"model_type": "bert"})
    write_json(tmp_path / "mine" / "1_Pooling" / "config.json", POOLING)
    monkeypatch.chdir(tmp_path)
    assert vector_recipe(settings(text_model="mine"), DataType.POSTS).model == str(tmp_path / "mine")


def test_every_setting_that_decides_a_point_changes_the_recipe() -> None:
    variants = [
        {}, {"cleaning_ascii_only": True}, {"text_chunk_size": 400}, {"text_chunk_overlap": 20},
        {"text_model": "hash-384"},
    ]  # fmt: skip
    shorts = {recipe_of(settings(**fields), Snapshot.VECTOR, DataType.POSTS).short for fields in variants}
    assert len(shorts) == len(variants)


def test_chunk_sizes_leave_the_cleaned_recipe_alone() -> None:
    one = recipe_of(settings(text_chunk_size=400), Snapshot.CLEANED, DataType.POSTS)
    assert one == cleaned_recipe(settings())
    assert one != cleaned_recipe(settings(cleaning_ascii_only=True))
