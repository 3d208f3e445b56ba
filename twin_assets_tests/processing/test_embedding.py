from __future__ import annotations

import traceback

import pytest

from twin_assets.errors import DocumentRejected
from twin_assets.models.embedded import EMBEDDED_MODELS
from twin_assets.models.kinds import DataType
from twin_assets.processing.dispatch import EmbeddingDispatcher
from twin_assets.processing.encoder import SLICE
from twin_assets_tests.processing.builders import RecordingEncoder, chunks_of, vector_recipe


@pytest.mark.parametrize("data_type", DataType)
def test_every_chunk_gets_the_vector_of_its_text(data_type: DataType) -> None:
    chunks = chunks_of(data_type, {"a.py": "one two three " * 200}, chunk_size=100)
    encoder = RecordingEncoder()
    embedded = EmbeddingDispatcher(vector_recipe(), encoder).dispatch(chunks)
    assert [result.chunk for result in embedded] == chunks
    assert all(type(result) is EMBEDDED_MODELS[data_type] for result in embedded)
    assert [list(result.vector) for result in embedded] == [
        encoder.encode([c.content])[0].tolist() for c in chunks
    ]


def test_equal_texts_are_encoded_once_in_slices_of_like_length() -> None:
    chunks = chunks_of(
        DataType.POSTS, {str(n): "word " * n for n in range(1, 60)}, chunk_size=60, chunk_overlap=0
    )
    encoder = RecordingEncoder()
    EmbeddingDispatcher(vector_recipe(), encoder).dispatch(chunks + chunks)
    texts = [text for part in encoder.slices for text in part]
    assert len(texts) == len(set(texts)) == len({chunk.content for chunk in chunks})
    assert [len(text) for text in texts] == sorted(len(text) for text in texts)
    assert max(map(len, encoder.slices)) <= SLICE


def test_nothing_to_embed_asks_the_encoder_nothing() -> None:
    encoder = RecordingEncoder()
    assert EmbeddingDispatcher(vector_recipe(), encoder).dispatch([]) == []
    assert encoder.slices == []


def test_refused_text_is_a_rejection_of_its_own_document() -> None:
    good = chunks_of(DataType.POSTS, {"a": "good"})
    secret = " ".join(["nobody", "reads"])
    bad = chunks_of(DataType.ARTICLES, {"a": secret})
    with pytest.raises(DocumentRejected) as caught:
        EmbeddingDispatcher(vector_recipe(), RecordingEncoder(refuses=secret)).dispatch(good + bad)
    assert (caught.value.stage, caught.value.key) == ("embedding", "articles/int:7")
    assert secret not in "".join(traceback.format_exception(caught.value))


def test_vector_that_is_no_unit_vector_is_a_rejection() -> None:
    chunks = chunks_of(DataType.POSTS, {"a": "spoilt"})
    with pytest.raises(DocumentRejected, match=r"vector: .*norm"):
        EmbeddingDispatcher(vector_recipe(), RecordingEncoder(spoils="spoilt")).dispatch(chunks)
