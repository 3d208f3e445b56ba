from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from threading import Event

import numpy as np
import pytest

from twin_assets.errors import ModelUnavailable
from twin_assets.models.recipe import VectorRecipe
from twin_assets.processing import encoder
from twin_assets.processing.encoder import Encoder, describe_model, load_encoder
from twin_assets.processing.encoder_options import EncoderOptions
from twin_assets.processing.hash_encoder import HashEncoder
from twin_assets.processing.model_files import ModelDescription
from twin_assets_tests.processing.builders import POOLING, vector_recipe, write_json

load = partial(load_encoder, options=EncoderOptions())
HEAVY = (
    "torch",
    "sentence_transformers",
    "transformers",
    "langchain_text_splitters",
    "unstructured",
    "openvino",
)


def test_imports_and_descriptions_load_no_heavy_library() -> None:
    program = f"""
import sys
from twin_assets.processing import backends, dispatch, encoder, recipes
encoder.describe_model("all-MiniLM-L6-v2")
try:
    encoder.describe_model("nobody/has-this-model")
except Exception as error:
    assert type(error).__name__ == "ModelUnavailable", error
print([name for name in {HEAVY!r} if name in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("name", ["all-MiniLM-L6-v2", "sentence-transformers/all-MiniLM-L6-v2"])
def test_bundled_model_is_described_from_its_files(name: str) -> None:
    assert describe_model(name) == ModelDescription(384, 256, "mean", takes_instruction=False)


def test_hash_model_is_named_by_its_dimension() -> None:
    assert describe_model("hash-96").dimension == 96


@pytest.mark.parametrize(
    "name", ["hash-0", "hash--1", "/no/such/folder", "./here", "nobody/has-this-model", "a b", ""]
)
def test_missing_model_says_what_to_do(name: str) -> None:
    with pytest.raises(
        ModelUnavailable, match=r"cannot be loaded .*; install it, set its path, or choose another"
    ):
        describe_model(name)


def test_hub_model_that_is_not_in_the_cache_names_the_download(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ModelUnavailable, match="run `hf download hkunlp/instructor-xl`"):
        describe_model("hkunlp/instructor-xl")


def test_folder_that_is_no_model_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelUnavailable, match=r"is no sentence-transformers folder.*modules\.json"):
        describe_model(str(tmp_path))


def write_layout(folder: Path, *, kinds: dict[str, str], model_type: str = "t5") -> None:
    modules = [{"type": f"sentence_transformers.models.{kind}", "path": path} for path, kind in kinds.items()]
    write_json(folder / "modules.json", modules)
    write_json(folder / "config.json", {"model_type": model_type, "n_positions": 512})
    write_json(folder / "1_Pooling" / "config.json", POOLING | {"pooling_mode_cls_token": True})
    write_json(folder / "2_Dense" / "config.json", {"in_features": 64, "out_features": 768})


def test_dimension_is_that_of_the_last_layer(tmp_path: Path) -> None:
    write_layout(tmp_path, kinds={"": "Transformer", "1_Pooling": "Pooling", "2_Dense": "Dense"})
    assert describe_model(str(tmp_path)) == ModelDescription(768, 512, "cls+mean", takes_instruction=True)


def test_model_without_dense_layer_has_the_pooled_width_and_no_instruction(tmp_path: Path) -> None:
    write_layout(tmp_path, kinds={"": "Transformer", "1_Pooling": "Pooling"}, model_type="bert")
    assert describe_model(str(tmp_path)) == ModelDescription(64, 512, "cls+mean", takes_instruction=False)


@pytest.mark.usefixtures("fresh_cache")
def test_model_is_loaded_once_whatever_the_recipe_and_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    loads: list[str] = []
    real = encoder._load
    monkeypatch.setattr(
        encoder, "_load", lambda recipe, options: loads.append(recipe.model) or real(recipe, options)
    )
    recipes = [vector_recipe(chunk_size=100 + n % 3) for n in range(30)]
    with ThreadPoolExecutor(8) as threads:
        encoders = list(threads.map(load, recipes))
    assert loads == ["hash-16"]
    assert len(set(map(id, encoders))) == 1


@pytest.mark.usefixtures("fresh_cache")
@pytest.mark.parametrize("wrong", [{"dimension": 17}, {"max_tokens": 128}])
def test_recipe_made_with_other_weights_is_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(ModelUnavailable, match="its files say 16 dimensions and 256 tokens"):
        load(vector_recipe(**wrong))


def assert_rows(rows: np.ndarray, count: int, model: Encoder) -> None:
    assert rows.shape == (count, model.dimension)
    assert rows.dtype == np.float32
    assert np.abs(np.linalg.norm(rows, axis=1) - 1).max(initial=0) < 1e-5


@pytest.mark.parametrize("texts", [[], ["one"], ["one", "", " ", "💥", "\ud800", "漢字 " * 50]])
def test_hash_vectors_are_unit_rows(texts: list[str]) -> None:
    model = load(vector_recipe())
    assert_rows(model.encode(texts), len(texts), model)


def test_hash_vectors_depend_on_the_text_alone_and_bring_like_texts_together() -> None:
    model = load(vector_recipe(model="hash-256", dimension=256))
    queues, same, other = model.encode(["queues keep order", "order is kept by queues", "a recipe for soup"])
    assert np.array_equal(model.encode(["queues keep order"])[0], queues)
    assert queues @ same > queues @ other
    assert not np.array_equal(model.encode(["a b"]), model.encode(["b a"]))


def test_a_loaded_encoder_waits_for_no_other_that_is_being_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    known, slow = (vector_recipe(model=f"hash-{size}", dimension=size) for size in (24, 40))
    load(known)
    asked, go_on = Event(), Event()

    def load_slowly(recipe: VectorRecipe, options: EncoderOptions) -> Encoder:
        asked.set()
        assert go_on.wait(60)
        return HashEncoder(recipe.dimension)

    monkeypatch.setattr(encoder, "_load", load_slowly)
    with ThreadPoolExecutor(2) as pool:
        loading = pool.submit(load, slow)
        assert asked.wait(60)
        try:
            assert pool.submit(load, known).result(10).dimension == 24
            assert not loading.done()
        finally:
            go_on.set()
        assert loading.result(60).dimension == 40
