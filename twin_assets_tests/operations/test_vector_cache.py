from __future__ import annotations

import sys

import numpy as np
import pytest

from twin_assets.models.change import Change
from twin_assets.models.kinds import DataType, Snapshot
from twin_assets.operations.vector_cache import ENTRY_BYTES, VectorCache

DIMENSION = 384
VECTOR = tuple(float(number) for number in np.linspace(-1, 1, DIMENSION, dtype=np.float32))
ENTRY = ENTRY_BYTES + 4 * DIMENSION
A_RECIPE, OTHER_RECIPE = "aaaa", "bbbb"


def test_a_vector_comes_back_as_it_was_for_its_recipe_and_text_alone():
    cache = VectorCache(ENTRY)
    cache.put(A_RECIPE, "a text", VECTOR)
    assert cache.get(A_RECIPE, "a text") == VECTOR
    assert cache.get(A_RECIPE, "another text") is None
    assert cache.get(OTHER_RECIPE, "a text") is None


def test_what_nobody_asked_for_the_longest_goes_first():
    cache = VectorCache(2 * ENTRY)
    for text in "ab":
        cache.put(A_RECIPE, text, VECTOR)
    cache.get(A_RECIPE, "a")
    cache.put(A_RECIPE, "c", VECTOR)
    assert [cache.get(A_RECIPE, text) is not None for text in "abc"] == [True, False, True]


def test_a_vector_that_is_put_again_takes_no_more_room():
    cache = VectorCache(2 * ENTRY)
    for text in "abbbb":
        cache.put(A_RECIPE, text, VECTOR)
    assert len(cache) == 2


@pytest.mark.parametrize("limit", [0, ENTRY - 1])
def test_without_room_nothing_is_kept(limit: int):
    cache = VectorCache(limit)
    cache.put(A_RECIPE, "a", VECTOR)
    assert cache.get(A_RECIPE, "a") is None


def test_the_weight_of_an_entry_is_not_understated():
    cache = VectorCache(1000 * ENTRY)
    for number in range(1000):
        cache.put(A_RECIPE, str(number), VECTOR)
    held = sum(sys.getsizeof(key) + sys.getsizeof(vector) for key, vector in cache._vectors.items())
    assert held + sys.getsizeof(cache._vectors) < len(cache) * ENTRY


@pytest.fixture
def texts(documents, apply, twin):
    """Write a post, apply it, and return what was done."""

    def write(number: int, text: str, *, force: bool = False):
        post = {"_id": number, "platform": "p", "author_id": "a", "content": {"text": text}}
        documents.posts.replace_one({"_id": number}, post, upsert=True)
        return apply([Change(type=DataType.POSTS, entry=f"int:{number}", revision=0, force=force)])

    return write


@pytest.mark.servers
def test_text_that_comes_back_or_moves_is_not_embedded_again(texts, twin):
    first = texts(1, "some text that moves")
    assert (first.chunks_embedded, first.chunks_recalled) == (1, 0)
    other = texts(1, "another text in between")
    assert (other.chunks_embedded, other.chunks_recalled) == (1, 0)
    back, moved = texts(1, "some text that moves"), texts(2, "some text that moves")
    for counts in (back, moved):
        assert (counts.chunks_embedded, counts.chunks_recalled) == (0, 1)
    live = twin.live_generation(Snapshot.VECTOR, DataType.POSTS)
    vectors = [
        record.vector for record in twin.store.scroll(live.collection, with_vectors=True) if record.vector
    ]
    assert len(vectors) == 2
    assert vectors[0] == vectors[1]


@pytest.mark.servers
def test_a_forced_document_is_embedded_anew(texts):
    texts(1, "some text")
    forced = texts(1, "some text", force=True)
    assert (forced.chunks_embedded, forced.chunks_recalled) == (1, 0)
