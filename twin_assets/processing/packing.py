"""Which texts a network reads together: those of like length, under a budget of tokens."""

from __future__ import annotations

from collections.abc import Sequence

# A row is as long as the longest of its pack; what is filled up is multiplied like text.
MAX_PADDING = 0.05


def pack(lengths: Sequence[int], *, budget: int, max_padding: float = MAX_PADDING) -> list[list[int]]:
    """Return packs of indexes, the longest texts first; every index is in one of them.

    `lengths` are tokens per text, `budget` is how many tokens a pack may have, padding included; a longer
    text goes alone. No pack is padded by more than `max_padding` of its tokens (0 to 1).
    """
    packs: list[list[int]] = []
    longest = used = 0
    for index in sorted(range(len(lengths)), key=lambda index: (-lengths[index], index)):
        length = lengths[index]
        if packs:
            size = (len(packs[-1]) + 1) * longest
            if size <= budget and size - (used + length) <= max_padding * size:
                packs[-1].append(index)
                used += length
                continue
        packs.append([index])
        longest = used = length
    return packs


def padding_share(lengths: Sequence[int], packs: Sequence[Sequence[int]]) -> float:
    """Return which share (0 to 1) of the tokens in the packs is padding."""
    size = sum(len(pack) * max(lengths[index] for index in pack) for pack in packs)
    return 1 - sum(lengths[index] for pack in packs for index in pack) / size if size else 0.0
