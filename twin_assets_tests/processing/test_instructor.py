from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from twin_assets.errors import ConfigurationError
from twin_assets.models.kinds import DataType
from twin_assets.models.recipe import VectorRecipe
from twin_assets.processing.dispatch import ChunkingDispatcher, EmbeddingDispatcher
from twin_assets.processing.encoder import Encoder, describe_model, load_encoder, prompt_of
from twin_assets.processing.encoder_options import Backend, EncoderOptions
from twin_assets.processing.recipes import vector_recipe
from twin_assets.settings import Settings
from twin_assets_tests.processing.builders import T5_DIMENSION, T5_MAX_TOKENS, cleaned

pytestmark = pytest.mark.model
INSTRUCTION = "Represent the source code for retrieval"
# What it is converted to has tests of its own.
load = partial(load_encoder, options=EncoderOptions(Backend.TORCH))
TEXTS = ["def main(): return 1", "class A:\n    pass", "x", "import os " * 8, "  indented(y)", "漢字"]


def recipe(folder: Path, **fields: Any) -> VectorRecipe:
    settings = Settings(
        _env_file=None, code_model=str(folder), code_chunk_size=200, code_chunk_overlap=20, **fields
    )
    return vector_recipe(settings, DataType.REPOSITORIES)


@pytest.fixture(scope="module")
def instructor(tiny_t5: Path) -> Encoder:
    return load(recipe(tiny_t5))


def test_folder_of_instructor_layout_is_described_with_its_instruction(tiny_t5: Path) -> None:
    found = recipe(tiny_t5)
    assert (found.model, found.dimension, found.max_tokens) == (str(tiny_t5), T5_DIMENSION, T5_MAX_TOKENS)
    assert (found.instruction, found.pooling) == (INSTRUCTION, "mean")
    assert describe_model(str(tiny_t5)).takes_instruction


def test_vectors_equal_the_prompt_route_of_sentence_transformers(instructor: Encoder, tiny_t5: Path) -> None:
    from sentence_transformers import SentenceTransformer  # noqa: PLC0415 - imports torch

    reference = SentenceTransformer(str(tiny_t5), device="cpu", local_files_only=True)
    reference.set_pooling_include_prompt(include_prompt=False)
    expected = reference.encode(TEXTS, prompt=prompt_of(INSTRUCTION), show_progress_bar=False)
    assert np.abs(instructor.encode(TEXTS) - expected).max() <= 1e-6


def test_vectors_equal_what_instructor_embedding_computed(instructor: Encoder, tiny_t5: Path) -> None:
    from twin_assets_tests.processing.original_instructor import original_vectors  # noqa: PLC0415 - the same

    expected = original_vectors(tiny_t5, [[prompt_of(INSTRUCTION), text] for text in TEXTS])
    assert np.abs(instructor.encode(TEXTS) - expected).max() <= 1e-6


def test_instruction_changes_the_vectors(instructor: Encoder, tiny_t5: Path) -> None:
    other = load(recipe(tiny_t5, code_instruction="Represent the import"))
    plain = load(recipe(tiny_t5, code_instruction=""))
    vectors = [encoder.encode(TEXTS) for encoder in (instructor, other, plain)]
    assert (
        min(np.abs(one - two).max() for one, two in zip(vectors, vectors[1:] + vectors[:1], strict=True))
        > 1e-3
    )


def test_token_cap_leaves_room_for_the_instruction(instructor: Encoder, tiny_t5: Path) -> None:
    document = cleaned(DataType.REPOSITORIES, {"a.py": "def main(): return zzz\n" * 60})
    chunks = ChunkingDispatcher(recipe(tiny_t5), instructor, 1000).dispatch(document)
    tokenizer = instructor.network.transformer.tokenizer  # type: ignore[attr-defined]
    lengths = [len(tokenizer(prompt_of(INSTRUCTION) + chunk.content).input_ids) for chunk in chunks]
    assert T5_MAX_TOKENS // 2 < max(lengths) <= T5_MAX_TOKENS
    assert len(EmbeddingDispatcher(recipe(tiny_t5), instructor).dispatch(chunks)) == len(chunks)


def test_instruction_that_leaves_no_room_is_a_wrong_setting(tiny_t5: Path) -> None:
    with pytest.raises(ConfigurationError, match="shorten TWIN_TEXT_INSTRUCTION or TWIN_CODE_INSTRUCTION"):
        load(recipe(tiny_t5, code_instruction="code " * 80))
