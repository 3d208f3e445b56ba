from __future__ import annotations

import socket
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given, settings
from tokenizers import Tokenizer

from twin_assets.models.kinds import DataType
from twin_assets.processing.dispatch import EmbeddingDispatcher
from twin_assets.processing.encoder import Encoder, load_encoder
from twin_assets.processing.encoder_options import Backend, EncoderOptions
from twin_assets.processing.model_files import find_model
from twin_assets.processing.recipes import vector_recipe
from twin_assets.processing.splitter import Splitter
from twin_assets.settings import Settings
from twin_assets_tests.processing.builders import chunks_of
from twin_assets_tests.processing.strategies import long_texts

pytestmark = pytest.mark.model
TEXTS = [
    "MongoDB keeps the documents.",
    "Qdrant finds near vectors.",
    "Soup is made of onions. " * 20,
    "x",
    "漢字",
    "\ud800",
]


def test_vectors_are_unit_rows_that_bring_like_texts_together(minilm: Encoder) -> None:
    rows = minilm.encode([*TEXTS, "Which database stores documents?"])
    assert rows.dtype == np.float32
    assert np.abs(np.linalg.norm(rows, axis=1) - 1).max() < 1e-5
    assert int(np.argmax(rows[:-1] @ rows[-1])) == 0


def test_neighbours_change_the_last_bits_at_most(minilm: Encoder) -> None:
    together = minilm.encode(TEXTS)
    alone = np.concatenate([minilm.encode([text]) for text in TEXTS])
    assert np.abs(together - alone).max() < 1e-6
    assert np.array_equal(minilm.encode(TEXTS), together)


@pytest.mark.usefixtures("fresh_cache")
@pytest.mark.parametrize("backend", [Backend.TORCH, Backend.OPENVINO])
def test_loading_and_encoding_touch_no_network(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], backend: Backend
) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("the network was touched")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    encoder = load_encoder(
        vector_recipe(Settings(_env_file=None), DataType.ARTICLES), EncoderOptions(backend)
    )
    assert encoder.encode(["https://example.org/image.png"]).shape == (1, 384)
    assert capfd.readouterr() == ("", "")


@settings(deadline=None, max_examples=60)
@given(long_texts)
def test_no_slice_is_longer_than_the_model_reads(minilm: Encoder, text: str) -> None:
    cut = Splitter(minilm, chunk_size=1000, chunk_overlap=100)
    spans = list(cut.split(text, is_code=True))
    counts = minilm.token_counts([text[start:end] for start, end in spans])
    assert max(counts, default=0) <= 254


@pytest.mark.parametrize(
    "text", ["{}[]();=" * 500, "가나다라 " * 400, "漢字" * 800, "ab" * 2000, "word " * 900]
)
def test_dense_text_is_cut_to_what_the_model_reads(minilm: Encoder, text: str) -> None:
    slices = [
        text[start:end] for start, end in Splitter(minilm, chunk_size=1000, chunk_overlap=100).split(text)
    ]
    folder = find_model(minilm.model)
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.no_truncation()
    tokenizer.no_padding()
    assert max(len(tokenizer.encode(piece).ids) for piece in slices) <= 256


def test_several_threads_may_encode_and_count(minilm: Encoder) -> None:
    expected = minilm.encode(TEXTS)
    with ThreadPoolExecutor(4) as threads:
        counts = threads.map(lambda _: minilm.token_counts(TEXTS), range(20))
        rows = list(threads.map(lambda _: minilm.encode(TEXTS), range(8)))
    assert all(np.array_equal(row, expected) for row in rows)
    assert len({tuple(count) for count in counts}) == 1


def test_chunks_are_embedded_with_real_weights(minilm: Encoder) -> None:
    recipe = vector_recipe(Settings(_env_file=None), DataType.REPOSITORIES)
    chunks = chunks_of(DataType.REPOSITORIES, {"a.py": "def f():\n    return 1\n" * 40})
    embedded = EmbeddingDispatcher(recipe, minilm).dispatch(chunks)
    assert [len(result.vector) for result in embedded] == [384] * len(chunks)
