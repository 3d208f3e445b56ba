"""The sentence-transformers encoder: MiniLM, and any other model of its kind on disk."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any

import numpy as np

from twin_assets.errors import ConfigurationError, ModelUnavailable
from twin_assets.processing.model_files import ModelDescription

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

# Two cores, chunks of 500 characters: 33.5 chunks/s in batches of 4, 36.0 of 8, 29.8 of 32 (padding).
BATCH_SIZE = 8


class SentenceEncoder:
    """Encodes on CUDA where there is one, else on the CPU; one call at a time.

    Equal texts have equal vectors to 1e-6 only: padding to a longer neighbour changes the last bits.
    """

    def __init__(
        self, model: str, folder: Path, description: ModelDescription, *, prompt: str | None = None
    ) -> None:
        from tokenizers import Tokenizer  # noqa: PLC0415 - comes with torch's import

        self.model = model
        self.dimension = description.dimension
        self.max_tokens = description.max_tokens
        self._prompt = prompt
        self._network = self._load(folder)
        self._busy = Lock()
        # A copy: the network's own tokenizer truncates, pads, and must not be shared between threads.
        self._tokenizer = Tokenizer.from_str(self._network.tokenizer.backend_tokenizer.to_str())
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()
        self.special_tokens = self._tokenizer.num_special_tokens_to_add(False)  # noqa: FBT003 - Rust, positional
        self.special_tokens += self.token_counts([prompt])[0] if prompt else 0
        self._check_limits()

    def encode(self, texts: Sequence[str]) -> np.ndarray:
        """Return float32 (len(texts), dimension), rows of norm 1."""
        from sentence_transformers import SentenceTransformer  # noqa: PLC0415 - loaded by then

        if not texts:
            return np.empty((0, self.dimension), dtype=np.float32)
        with self._busy:
            rows = SentenceTransformer.encode(
                self._network,
                _encodable(texts),
                prompt=self._prompt,
                batch_size=BATCH_SIZE,
                show_progress_bar=False,
                normalize_embeddings=True,
            )
        return np.ascontiguousarray(rows, dtype=np.float32)

    def token_counts(self, texts: Sequence[str]) -> list[int]:
        """Return how many tokens each text has, special ones not counted."""
        return [
            len(text)
            for text in self._tokenizer.encode_batch_fast(_encodable(texts), add_special_tokens=False)
        ]

    def token_spans(self, text: str) -> list[tuple[int, int]]:
        """Return the slice of the text behind each token, special ones left out."""
        offsets: list[tuple[int, int]] = self._tokenizer.encode(
            _encodable([text])[0], add_special_tokens=False
        ).offsets
        return offsets

    def _load(self, folder: Path) -> SentenceTransformer:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            import torch  # noqa: PLC0415 - 420 MB, ten seconds
            from transformers.utils import logging  # noqa: PLC0415 - the same

            logging.set_verbosity_error()  # type: ignore[no-untyped-call]
            logging.disable_progress_bar()  # type: ignore[no-untyped-call]
            device = "cuda" if torch.cuda.is_available() else "cpu"
            try:
                network: SentenceTransformer = self._network_class()(
                    str(folder), device=device, local_files_only=True
                )
            except (OSError, ValueError, ImportError, KeyError, RuntimeError) as error:
                raise ModelUnavailable(
                    self.model, f"{type(error).__name__}: {error}".splitlines()[0]
                ) from error
        network.max_seq_length = self.max_tokens
        network.float().eval()
        return network

    def _network_class(self) -> Any:
        from sentence_transformers import SentenceTransformer  # noqa: PLC0415 - imports torch

        return SentenceTransformer

    def _check_limits(self) -> None:
        if 2 * self.special_tokens > self.max_tokens:
            raise ConfigurationError(
                f"the instruction for {self.model} takes {self.special_tokens} of its {self.max_tokens} "
                "tokens; shorten TWIN_TEXT_INSTRUCTION or TWIN_CODE_INSTRUCTION"
            )


def _encodable(texts: Sequence[str]) -> list[str]:
    """Replace lone surrogates, which tokenizers refuse, by as many question marks: offsets stay right."""
    return [text.encode("utf-8", "replace").decode() for text in texts]
