"""The interface of a network, and the token ids that it reads."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from twin_assets.processing.encoder_options import Backend


@dataclass(frozen=True)
class TokenRows:
    """Texts that are read together: int64 `ids` and `mask` (n, longest), the mask 1 for a token."""

    ids: np.ndarray
    mask: np.ndarray


class Network(Protocol):
    """A model from token ids to vectors. One call at a time."""

    backend: Backend
    # Tokens per pack, padding included: what benchmarks/encoders.py found to be the fastest.
    budget: int

    def run(self, packs: Sequence[TokenRows]) -> list[np.ndarray]:
        """Return float32 (n, dimension), rows of norm 1, for each pack."""


def token_rows(texts: Sequence[Sequence[int]], *, padding_id: int) -> TokenRows:
    """Return the ids of some texts as rows of one length."""
    longest = max(map(len, texts))
    ids = np.full((len(texts), longest), padding_id, dtype=np.int64)
    mask = np.zeros_like(ids)
    for row, text in enumerate(texts):
        ids[row, : len(text)] = text
        mask[row, : len(text)] = 1
    return TokenRows(ids, mask)
