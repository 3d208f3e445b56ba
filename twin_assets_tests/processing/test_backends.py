"""Each library against sentence-transformers, and what becomes of one that cannot be had."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from twin_assets.errors import ModelUnavailable
from twin_assets.models.kinds import DataType
from twin_assets.models.recipe import VectorRecipe
from twin_assets.processing import backends
from twin_assets.processing.encoder import load_encoder, prompt_of
from twin_assets.processing.encoder_options import Backend, EncoderOptions
from twin_assets.processing.model_files import find_model
from twin_assets.processing.networks import conversion, converted
from twin_assets.processing.networks.conversion import FACTS_FILE, fixed_rows
from twin_assets.processing.networks.converted import ModelFiles, NotConverted, converted_folder
from twin_assets.processing.networks.exactness import FIXED_TEXTS, least_cosine
from twin_assets.processing.networks.network import TokenRows
from twin_assets.processing.networks.torch_network import TorchNetwork
from twin_assets.processing.recipes import vector_recipe
from twin_assets.processing.tokens import ModelTokenizer
from twin_assets.settings import Settings

pytestmark = pytest.mark.model
INSTRUCTION = "Represent the source code for retrieval"
OTHERS = [Backend.OPENVINO, Backend.ONNX]
NO_TELEMETRY = """
import sys
reached = []
NETWORK = ("socket.connect", "socket.getaddrinfo")
sys.addaudithook(lambda event, args: reached.append(event) if event in NETWORK else None)
from twin_assets.processing.networks.conversion import main
main()
sys.exit(bool(reached))
"""


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where this module's conversions are kept: each is made once."""
    return tmp_path_factory.mktemp("encoders")


def minilm_recipe() -> VectorRecipe:
    return vector_recipe(Settings(_env_file=None), DataType.POSTS)


def t5_recipe(folder: Path) -> VectorRecipe:
    settings = Settings(_env_file=None, code_model=str(folder), code_chunk_size=200, code_chunk_overlap=20)
    return vector_recipe(settings, DataType.REPOSITORIES)


def reference_vectors(folder: Path, *, prompt: str | None = None) -> np.ndarray:
    from sentence_transformers import SentenceTransformer  # noqa: PLC0415 - imports torch

    model = SentenceTransformer(str(folder), device="cpu", local_files_only=True)
    model.set_pooling_include_prompt(include_prompt=False)
    vectors: np.ndarray = model.encode(
        list(FIXED_TEXTS), prompt=prompt, normalize_embeddings=True, show_progress_bar=False
    )
    return vectors


@pytest.mark.usefixtures("fresh_cache")
@pytest.mark.parametrize("backend", [Backend.TORCH, *OTHERS])
def test_text_has_the_vectors_of_sentence_transformers(backend: Backend, home: Path) -> None:
    encoder = load_encoder(minilm_recipe(), EncoderOptions(backend, home))
    found = encoder.encode(FIXED_TEXTS)
    assert encoder.backend is backend  # type: ignore[attr-defined]
    assert found.dtype == np.float32
    expected = reference_vectors(find_model("all-MiniLM-L6-v2"))
    assert least_cosine([found], [expected]) > 0.999999
    assert np.abs(found - expected).max() < 1e-5


@pytest.mark.usefixtures("fresh_cache")
@pytest.mark.parametrize("backend", [Backend.TORCH, *OTHERS])
def test_code_has_the_vectors_of_the_instruction_route(backend: Backend, home: Path, tiny_t5: Path) -> None:
    encoder = load_encoder(t5_recipe(tiny_t5), EncoderOptions(backend, home))
    assert encoder.backend is backend  # type: ignore[attr-defined]
    expected = reference_vectors(tiny_t5, prompt=prompt_of(INSTRUCTION))
    assert least_cosine([encoder.encode(FIXED_TEXTS)], [expected]) > 0.99999


@pytest.mark.usefixtures("fresh_cache")
@pytest.mark.parametrize("backend", [Backend.TORCH, *OTHERS])
def test_a_text_has_one_vector_whoever_reads_with_it(backend: Backend, home: Path) -> None:
    encoder = load_encoder(minilm_recipe(), EncoderOptions(backend, home))
    together = encoder.encode(FIXED_TEXTS)
    alone = np.concatenate([encoder.encode([text]) for text in FIXED_TEXTS])
    assert np.abs(together - alone).max() < 1e-5
    assert encoder.encode([]).shape == (0, 384)


@pytest.mark.usefixtures("fresh_cache")
def test_several_threads_may_encode_at_once(home: Path) -> None:
    encoder = load_encoder(minilm_recipe(), EncoderOptions(Backend.OPENVINO, home))
    expected = encoder.encode(FIXED_TEXTS)
    with ThreadPoolExecutor(4) as threads:
        rows = list(threads.map(lambda _: encoder.encode(FIXED_TEXTS), range(8)))
    assert all(np.abs(row - expected).max() < 1e-6 for row in rows)


def test_a_converted_model_needs_no_torch_and_tells_nobody(home: Path, tmp_path: Path) -> None:
    load_encoder(minilm_recipe(), EncoderOptions(Backend.OPENVINO, home))
    program = f"""
import sys
from pathlib import Path
from twin_assets.models.kinds import DataType
from twin_assets.processing.encoder import load_encoder
from twin_assets.processing.encoder_options import Backend, EncoderOptions
from twin_assets.processing.recipes import vector_recipe
from twin_assets.settings import Settings
recipe = vector_recipe(Settings(_env_file=None), DataType.POSTS)
encoder = load_encoder(recipe, EncoderOptions(Backend.OPENVINO, Path({str(home)!r})))
assert encoder.encode(["text"]).shape == (1, 384)
print([name for name in ("torch", "transformers", "sentence_transformers") if name in sys.modules])
print(sys.modules["openvino_telemetry"])
"""
    owner = tmp_path / "owner"
    owner.mkdir()
    environment = os.environ | {"HOME": str(owner)}
    done = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True
    )
    # OpenVINO would tell its maker of each import, and keep a number for this person in a file.
    assert done.stdout.split() == ["[]", "None"]
    assert list(owner.iterdir()) == []


def minilm_files() -> ModelFiles:
    return ModelFiles("all-MiniLM-L6-v2", find_model("all-MiniLM-L6-v2"), 256)


def conversion_arguments(files: ModelFiles, into: Path, backend: Backend) -> list[str]:
    named = {"backend": backend.value, "model": files.model, "folder": files.folder, "into": into}
    named |= {"max-tokens": files.max_tokens}
    return [word for name, value in named.items() for word in (f"--{name}", str(value))]


@pytest.mark.parametrize("backend", OTHERS)
def test_a_conversion_reaches_no_network(backend: Backend, tiny_t5: Path, tmp_path: Path) -> None:
    files = ModelFiles(str(tiny_t5), tiny_t5, 64)
    arguments = conversion_arguments(files, tmp_path / "model", backend)
    done = subprocess.run(
        [sys.executable, "-c", NO_TELEMETRY, *arguments], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    facts = json.loads((tmp_path / "model" / FACTS_FILE).read_text())
    assert facts["least_cosine"] > 0.9999
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model"]


@pytest.fixture
def wrong_library(monkeypatch: pytest.MonkeyPatch) -> None:
    """OpenVINO replaced by a library that computes something else, and conversions made in this process."""
    wrong = ("twin_assets_tests.processing.wrong_network", "WrongNetwork")
    monkeypatch.setitem(conversion.NETWORKS, Backend.OPENVINO, wrong)

    def convert(backend: Backend, files: ModelFiles, *, into: Path) -> None:
        monkeypatch.setattr(sys, "argv", ["conversion", *conversion_arguments(files, into, backend)])
        conversion.main()

    monkeypatch.setattr(converted, "_convert", convert)


@pytest.mark.usefixtures("wrong_library", "fresh_cache")
def test_a_library_with_other_vectors_is_refused(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    for _ in range(2):  # the second time from the folder
        with pytest.raises(NotConverted, match=r"its vectors are not torch's: a cosine of -?0"):
            converted_folder(Backend.OPENVINO, minilm_files(), home=tmp_path)
    with pytest.raises(ModelUnavailable, match="not with openvino: its vectors are not torch's"):
        load_encoder(minilm_recipe(), EncoderOptions(Backend.OPENVINO, tmp_path))
    with caplog.at_level(logging.WARNING):
        encoder = load_encoder(minilm_recipe(), EncoderOptions(Backend.AUTO, tmp_path))
    assert encoder.backend is not Backend.OPENVINO  # type: ignore[attr-defined]
    assert "all-MiniLM-L6-v2 runs without openvino: its vectors are not torch's" in caplog.text


@pytest.mark.usefixtures("fresh_cache")
def test_a_folder_that_cannot_be_written_leaves_torch(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_text("")
    home = tmp_path / "file" / "encoders"
    with pytest.raises(ModelUnavailable, match="encoders cannot be written: Not a directory"):
        load_encoder(minilm_recipe(), EncoderOptions(Backend.ONNX, home))
    encoder = load_encoder(minilm_recipe(), EncoderOptions(Backend.AUTO, home))
    assert encoder.backend is Backend.TORCH  # type: ignore[attr-defined]
    assert "runs without openvino" in caplog.text


@pytest.mark.usefixtures("fresh_cache")
def test_a_library_that_is_missing_is_named_with_its_extra(
    monkeypatch: pytest.MonkeyPatch, home: Path
) -> None:
    monkeypatch.setattr(backends, "find_spec", lambda name: None)
    with pytest.raises(ModelUnavailable, match=r"pip install 'twin_assets\[openvino\]'"):
        load_encoder(minilm_recipe(), EncoderOptions(Backend.OPENVINO, home))
    encoder = load_encoder(minilm_recipe(), EncoderOptions(Backend.AUTO, home))
    assert encoder.backend is Backend.TORCH  # type: ignore[attr-defined]


def test_of_several_that_start_at_once_one_converts(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    conversions: list[Path] = []
    others_wait = threading.Event()

    def convert(backend: Backend, files: ModelFiles, *, into: Path) -> None:
        conversions.append(into)
        assert others_wait.wait(30)
        made = tmp_path / "made"
        made.mkdir()
        (made / FACTS_FILE).write_text("{}")
        made.rename(into)  # as the program does: the folder is there only once it is complete

    monkeypatch.setattr(converted, "_convert", convert)
    with ThreadPoolExecutor(3) as threads:
        found = [
            threads.submit(converted_folder, Backend.ONNX, minilm_files(), home=tmp_path) for _ in range(3)
        ]
        others_wait.set()
        assert len({each.result(60) for each in found}) == 1
    assert len(conversions) == 1


@pytest.mark.parametrize("facts", [b"", b"\xff", None])
def test_a_damaged_folder_is_named_with_what_to_do(
    facts: bytes | None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def convert(backend: Backend, files: ModelFiles, *, into: Path) -> None:
        into.mkdir()
        if facts is not None:
            (into / FACTS_FILE).write_bytes(facts)

    monkeypatch.setattr(converted, "_convert", convert)
    with pytest.raises(
        NotConverted, match=rf"{tmp_path}/onnx-\S+ is damaged; delete it, and it is made anew"
    ):
        converted_folder(Backend.ONNX, minilm_files(), home=tmp_path)


def test_other_weights_prompts_and_lengths_are_converted_anew(tiny_t5: Path) -> None:
    digests = {
        ModelFiles("m", folder, max_tokens, prompt).digest()
        for folder in (tiny_t5, find_model("all-MiniLM-L6-v2"))
        for max_tokens in (64, 128)
        for prompt in (None, "Represent: ")
    }
    assert len(digests) == 8


def test_large_weights_are_never_converted_by_surprise(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(backends, "AUTO_LIMIT_BYTES", 1)
    assert list(backends._candidates(minilm_files(), EncoderOptions(Backend.AUTO, tmp_path))) == []
    wished = EncoderOptions(Backend.OPENVINO, tmp_path)
    assert list(backends._candidates(minilm_files(), wished)) == [Backend.OPENVINO]


@pytest.mark.parametrize("name", ["model.safetensors", "pytorch_model.bin"])
def test_weights_of_either_format_count_once(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"x" * 100)
    (tmp_path / "1_Pooling").mkdir()
    (tmp_path / "1_Pooling" / name).write_bytes(b"x" * 20)
    (tmp_path / "other.safetensors").write_bytes(b"x" * 7)
    expected = 127 if name == "model.safetensors" else 120
    assert ModelFiles("m", tmp_path, 64).weight_bytes() == expected


def test_half_precision_is_taken_only_where_the_vectors_stay() -> None:
    files = minilm_files()
    network = TorchNetwork(files.model, files.folder, max_tokens=256, device="cpu")
    tokenizer = ModelTokenizer(network.tokenizer_json, max_tokens=256)
    rows = fixed_rows(tokenizer, padding_id=network.padding_id)
    expected = network.run(rows)
    assert network.try_half_precision(rows)
    assert next(network.transformer.parameters()).element_size() == 2
    assert least_cosine(network.run(rows), expected) > 0.9999


class OverflowingNetwork(TorchNetwork):
    """What half precision does to some models."""

    def run(self, packs: Sequence[TokenRows]) -> list[np.ndarray]:
        is_half = next(self.transformer.parameters()).element_size() == 2
        return [found * np.nan if is_half else found for found in super().run(packs)]


def test_half_precision_that_overflows_is_left(tiny_t5: Path) -> None:
    network = OverflowingNetwork(str(tiny_t5), tiny_t5, max_tokens=64, device="cpu")
    rows = fixed_rows(ModelTokenizer(network.tokenizer_json, max_tokens=64), padding_id=network.padding_id)
    single = network.transformer
    assert not network.try_half_precision(rows)
    assert network.transformer is single
