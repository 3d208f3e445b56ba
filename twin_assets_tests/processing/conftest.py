"""The two real models of the tests, loaded once, as settings have it that say nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from twin_assets.models.kinds import DataType
from twin_assets.processing import encoder
from twin_assets.processing.encoder import Encoder, load_encoder
from twin_assets.processing.encoder_options import EncoderOptions
from twin_assets.processing.recipes import vector_recipe
from twin_assets.settings import Settings


@pytest.fixture(scope="session")
def minilm() -> Encoder:
    return load_encoder(vector_recipe(Settings(_env_file=None), DataType.POSTS), EncoderOptions())


@pytest.fixture(scope="session")
def tiny_t5(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from twin_assets_tests.processing.tiny_t5 import write_tiny_t5  # noqa: PLC0415 - imports torch

    return write_tiny_t5(tmp_path_factory.mktemp("tiny_t5"))


@pytest.fixture
def fresh_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    """No model loaded before; those that a test loads are forgotten after it."""
    monkeypatch.setattr(encoder, "_loaded", {})
