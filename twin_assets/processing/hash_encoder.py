"""An encoder without weights: equal words make near vectors, on every machine the same."""

from __future__ import annotations

import re
from collections.abc import Sequence
from hashlib import blake2b, shake_256

import numpy as np

HASH_MAX_TOKENS = 256
_TOKENS = re.compile(r"\w{1,4}|[^\w\s]")
_WORDS = re.compile(r"\w+|[^\w\s]")
# Tells apart texts of the same words in another order, and gives a text without words a vector.
_OWN_SHARE = 0.1


class HashEncoder:
    """Hashes each word to one signed dimension; named `hash-<dimension>` in settings.

    A token is up to four letters of a word, so that long chunks meet the token cap as with real models.
    """

    max_tokens = HASH_MAX_TOKENS
    special_tokens = 2

    def __init__(self, dimension: int) -> None:
        self.model = f"hash-{dimension}"
        self.dimension = dimension

    def encode(self, texts: Sequence[str]) -> np.ndarray:
        """Return float32 (len(texts), dimension), rows of norm 1; a row depends on its text alone."""
        rows = np.empty((len(texts), self.dimension), dtype=np.float32)
        for row, text in zip(rows, texts, strict=True):
            row[:] = self._vector(text)
        return rows

    def token_counts(self, texts: Sequence[str]) -> list[int]:
        """Return how many tokens each text has."""
        return [len(_TOKENS.findall(text)) for text in texts]

    def token_spans(self, text: str) -> list[tuple[int, int]]:
        """Return the slice of the text behind each token."""
        return [token.span() for token in _TOKENS.finditer(text)]

    def _vector(self, text: str) -> np.ndarray:
        own = shake_256(text.encode("utf-8", "surrogatepass")).digest(self.dimension)
        vector = (np.frombuffer(own, dtype=np.uint8) - 127.5) / 127.5
        vector *= _OWN_SHARE / np.linalg.norm(vector)
        for word in _WORDS.findall(text.lower()):
            digest = int.from_bytes(
                blake2b(word.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "big"
            )
            vector[(digest >> 1) % self.dimension] += 1 if digest & 1 else -1
        return np.asarray(vector / np.linalg.norm(vector), dtype=np.float32)
