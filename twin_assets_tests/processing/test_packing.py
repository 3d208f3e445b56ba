from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from twin_assets.processing.packing import MAX_PADDING, pack, padding_share

lengths_ = st.lists(st.integers(1, 512), max_size=60)


@given(lengths_, st.integers(1, 5000))
def test_every_text_is_in_one_pack_under_the_budget_and_hardly_padded(
    lengths: list[int], budget: int
) -> None:
    packs = pack(lengths, budget=budget)
    assert sorted(index for found in packs for index in found) == list(range(len(lengths)))
    for found in packs:
        size = len(found) * max(lengths[index] for index in found)
        assert size <= budget or len(found) == 1
        assert padding_share(lengths, [found]) <= MAX_PADDING + 1e-9
    assert padding_share(lengths, packs) <= MAX_PADDING + 1e-9


def test_like_lengths_share_a_pack_and_the_longest_come_first() -> None:
    assert pack([10, 100, 98, 10], budget=1000) == [[1, 2], [0, 3]]


def test_a_text_beyond_the_budget_goes_alone() -> None:
    assert pack([300, 300, 20], budget=256) == [[0], [1], [2]]


def test_without_texts_there_is_no_pack() -> None:
    assert pack([], budget=256) == []
    assert padding_share([], []) == 0
