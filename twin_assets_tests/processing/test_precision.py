"""Weights of 8 bits: other vectors, so another recipe, and never taken by chance."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from twin_assets.errors import ModelUnavailable
from twin_assets.models.base import stable_hash
from twin_assets.models.kinds import DataType
from twin_assets.models.recipe import VectorRecipe
from twin_assets.processing import backends
from twin_assets.processing.encoder import load_encoder
from twin_assets.processing.encoder_options import Backend, EncoderOptions
from twin_assets.processing.networks.conversion import FACTS_FILE
from twin_assets.processing.networks.exactness import FIXED_TEXTS, LEAST_COSINES
from twin_assets.processing.recipes import vector_recipe
from twin_assets.settings import Settings

pytestmark = [pytest.mark.model, pytest.mark.usefixtures("fresh_cache")]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where this module's conversions are kept: each is made once."""
    return tmp_path_factory.mktemp("encoders")


def recipe_for(data_type: DataType = DataType.POSTS, **fields: str) -> VectorRecipe:
    return vector_recipe(Settings(_env_file=None, **fields), data_type)


def test_rounded_weights_make_nearly_the_vectors(home: Path) -> None:
    exact = load_encoder(recipe_for(), EncoderOptions(Backend.ONNX, home)).encode(FIXED_TEXTS)
    rounded = load_encoder(recipe_for(text_precision="int8"), EncoderOptions(Backend.AUTO, home))
    found = rounded.encode(FIXED_TEXTS)
    assert rounded.backend is Backend.ONNX  # type: ignore[attr-defined]
    cosines = (found * exact).sum(axis=1)
    assert LEAST_COSINES["int8"] < cosines.min() < LEAST_COSINES["float32"]
    assert np.allclose(np.linalg.norm(found, axis=1), 1, atol=1e-5)
    [folder] = home.glob("onnx-int8-*")
    assert sum(path.stat().st_size for path in folder.glob("*.onnx")) < 30 * 2**20
    assert json.loads((folder / FACTS_FILE).read_text())["least_cosine"] == pytest.approx(
        cosines.min(), abs=1e-3
    )


def test_a_text_has_one_vector_whoever_is_rounded_with_it(home: Path) -> None:
    encoder = load_encoder(recipe_for(text_precision="int8"), EncoderOptions(Backend.AUTO, home))
    together = encoder.encode(FIXED_TEXTS)
    alone = np.concatenate([encoder.encode([text]) for text in reversed(FIXED_TEXTS)])[::-1]
    assert np.array_equal(together, alone)


def test_code_may_be_rounded_too(home: Path, tiny_t5: Path) -> None:
    fields = {"code_model": str(tiny_t5), "code_chunk_size": "200", "code_chunk_overlap": "20"}
    exact = recipe_for(DataType.REPOSITORIES, **fields)
    rounded = recipe_for(DataType.REPOSITORIES, code_precision="int8", **fields)
    options = EncoderOptions(Backend.ONNX, home)
    vectors = [load_encoder(recipe, options).encode(FIXED_TEXTS) for recipe in (exact, rounded)]
    assert LEAST_COSINES["int8"] < (vectors[0] * vectors[1]).sum(axis=1).min() < 1 - 1e-6
    assert recipe_for(code_precision="int8") == recipe_for(), "text is another matter"


@pytest.mark.parametrize("backend", [Backend.TORCH, Backend.OPENVINO])
def test_a_library_that_rounds_in_another_way_is_refused(backend: Backend, home: Path) -> None:
    with pytest.raises(
        ModelUnavailable, match=f"int8 runs with onnx alone, not with TWIN_ENCODER_BACKEND={backend}"
    ):
        load_encoder(recipe_for(text_precision="int8"), EncoderOptions(backend, home))


def test_without_its_library_nothing_else_is_taken_instead(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backends, "find_spec", lambda name: None)
    with pytest.raises(ModelUnavailable, match=r"pip install 'twin_assets\[onnx\]'"):
        load_encoder(recipe_for(text_precision="int8"), EncoderOptions(Backend.AUTO, home))


def test_a_precision_is_another_recipe_and_the_usual_one_none() -> None:
    usual, rounded = recipe_for(), recipe_for(text_precision="int8")
    assert rounded.short != usual.short
    before = usual.model_dump(mode="json")
    del before["precision"]
    assert usual.short == stable_hash(before)[:12]
    assert VectorRecipe(**before) == usual, "what a registry holds from before is the usual precision"
    assert recipe_for(text_model="hash-8", text_precision="int8").precision == "float32"
