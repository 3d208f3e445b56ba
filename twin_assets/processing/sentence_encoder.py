"""The encoder with weights: MiniLM, instructor-xl, and any other sentence-transformers folder on disk."""

from __future__ import annotations

from collections.abc import Sequence
from threading import Lock

import numpy as np

from twin_assets.errors import ConfigurationError
from twin_assets.processing.model_files import ModelDescription
from twin_assets.processing.networks.network import Network, token_rows
from twin_assets.processing.packing import pack
from twin_assets.processing.tokens import ModelTokenizer


class SentenceEncoder:
    """Tokenizes texts, packs those of like length together, and has a network multiply; one call at a time.

    Equal texts have equal vectors to 1e-6 only: padding to a longer neighbour changes the last bits.
    """

    def __init__(
        self,
        model: str,
        description: ModelDescription,
        *,
        tokenizer: ModelTokenizer,
        padding_id: int,
        network: Network,
    ) -> None:
        self.model = model
        self.dimension = description.dimension
        self.max_tokens = description.max_tokens
        self.special_tokens = tokenizer.special_tokens
        self.backend = network.backend
        self._tokenizer = tokenizer
        self._padding_id = padding_id
        self.network = network
        self._busy = Lock()
        self._check_limits()

    def encode(self, texts: Sequence[str]) -> np.ndarray:
        """Return float32 (len(texts), dimension), rows of norm 1."""
        rows = np.empty((len(texts), self.dimension), dtype=np.float32)
        ids = self._tokenizer.ids(texts)
        packs = pack([len(text) for text in ids], budget=self.network.budget)
        with self._busy:
            found = self.network.run(
                [token_rows([ids[index] for index in each], padding_id=self._padding_id) for each in packs]
            )
        for places, vectors in zip(packs, found, strict=True):
            rows[places] = vectors
        return rows

    def token_counts(self, texts: Sequence[str]) -> list[int]:
        """Return how many tokens each text has, special ones not counted."""
        return self._tokenizer.counts(texts)

    def token_spans(self, text: str) -> list[tuple[int, int]]:
        """Return the slice of the text behind each token, special ones left out."""
        return self._tokenizer.spans(text)

    def _check_limits(self) -> None:
        if 2 * self.special_tokens > self.max_tokens:
            raise ConfigurationError(
                f"the instruction for {self.model} takes {self.special_tokens} of its {self.max_tokens} "
                "tokens; shorten TWIN_TEXT_INSTRUCTION or TWIN_CODE_INSTRUCTION"
            )
