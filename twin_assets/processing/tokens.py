"""Texts to token ids, counts and places, by a model's own tokenizer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tokenizers import Tokenizer


class ModelTokenizer:
    """A tokenizer from its JSON text; safe to use from several threads.

    `prompt` stands before every text that is encoded, and counts among the special tokens.
    """

    def __init__(self, tokenizer_json: str, *, max_tokens: int, prompt: str | None = None) -> None:
        self._prompt = prompt or ""
        self._whole = _without_padding(tokenizer_json)
        self._cut = _without_padding(tokenizer_json)
        self._cut.enable_truncation(max_tokens)
        self.special_tokens = self._whole.num_special_tokens_to_add(False)  # noqa: FBT003 - Rust, positional
        self.special_tokens += self.counts([prompt])[0] if prompt else 0

    def ids(self, texts: Sequence[str]) -> list[list[int]]:
        """Return the ids that a model reads for each text: with the prompt and the special ones, cut off."""
        prompted = [self._prompt + text for text in _encodable(texts)]
        return [list(text.ids) for text in self._cut.encode_batch_fast(prompted)]

    def counts(self, texts: Sequence[str]) -> list[int]:
        """Return how many tokens each text has, special ones not counted."""
        return [
            len(text) for text in self._whole.encode_batch_fast(_encodable(texts), add_special_tokens=False)
        ]

    def spans(self, text: str) -> list[tuple[int, int]]:
        """Return the slice of the text behind each token, special ones left out."""
        offsets: list[tuple[int, int]] = self._whole.encode(
            _encodable([text])[0], add_special_tokens=False
        ).offsets
        return offsets


def _without_padding(tokenizer_json: str) -> Tokenizer:
    from tokenizers import Tokenizer  # noqa: PLC0415 - only who embeds needs it

    tokenizer = Tokenizer.from_str(tokenizer_json)
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer


def _encodable(texts: Sequence[str]) -> list[str]:
    """Replace lone surrogates, which tokenizers refuse, by as many question marks: offsets stay right."""
    return [text.encode("utf-8", "replace").decode() for text in texts]
