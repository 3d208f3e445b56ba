"""Cuts a text into exact slices: first by characters at natural borders, then by the model's own tokens."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator
from functools import cache
from itertools import accumulate, pairwise
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from langchain_text_splitters.character import RecursiveCharacterTextSplitter

Span = tuple[int, int]

PROSE_SEPARATORS = ("\n\n", "\n", " ")
COUNTED_AT_ONCE = 512


class TokenCounter(Protocol):
    """A model's tokenizer. `special_tokens`: how many it adds to every text, its instruction included."""

    max_tokens: int
    special_tokens: int

    def token_counts(self, texts: Sequence[str]) -> list[int]:
        """Return how many tokens each text has, special ones not counted."""

    def token_spans(self, text: str) -> list[Span]:
        """Return the slice of the text behind each token, special ones left out."""


class Splitter:
    """Cuts texts into slices of at most `chunk_size` characters and as many tokens as the model reads.

    Every character that is not white space is in a slice; neighbours share up to `chunk_overlap` characters.
    """

    def __init__(self, tokens: TokenCounter, *, chunk_size: int, chunk_overlap: int) -> None:
        self.tokens = tokens
        self.chunk_size = chunk_size
        self.chunk_overlap = chunk_overlap
        self.budget = tokens.max_tokens - tokens.special_tokens
        if self.budget < 1:
            raise ValueError("the instruction is longer than what the model reads")

    def split(self, text: str, *, language: str | None = None, is_code: bool = False) -> Iterator[Span]:
        """Yield the slices by rising end, white space at their ends left out; code keeps its indentation."""
        covered = 0
        spans = self._by_characters(text, language)
        for batch in _batches(spans, COUNTED_AT_ONCE):
            for start, end in self._capped(text, batch):
                first, last = trimmed(text, start, end, keep_indent=is_code)
                if first < last and last > covered:
                    yield first, last
                    covered = last

    def _by_characters(self, text: str, language: str | None) -> Iterator[Span]:
        if len(text) <= self.chunk_size:
            yield 0, len(text)
            return
        previous = 0
        for start, end in self._borders(text, language):
            earliest = max(start - self.chunk_overlap, previous)
            yield overlap_start(text, earliest, start), end
            previous = start

    def _borders(self, text: str, language: str | None) -> Iterator[Span]:
        size = self.chunk_size - self.chunk_overlap
        pieces = langchain_splitter(size, language).split_text(text)
        for start, end in pairwise(accumulate(map(len, pieces), initial=0)):
            for first in range(start, end, size):
                yield first, min(first + size, end)

    def _capped(self, text: str, spans: list[Span]) -> list[Span]:
        """Cut the slices that the model would read only in part."""
        texts = [text[start:end] for start, end in spans]
        long = [index for index, piece in enumerate(texts) if self._may_exceed(piece)]
        counts = dict(zip(long, self.tokens.token_counts([texts[index] for index in long]), strict=True))
        capped: list[Span] = []
        for index, (start, end) in enumerate(spans):
            if counts.get(index, 0) <= self.budget:
                capped.append((start, end))
            else:
                capped += self._cut(text, start, end, self.budget)
        return capped

    def _may_exceed(self, piece: str) -> bool:
        # An ASCII character is one token at most, and SentencePiece adds one for the start of the text.
        return not piece.isascii() or len(piece) >= self.budget

    def _cut(self, text: str, start: int, end: int, budget: int) -> list[Span]:
        """Cut one slice into windows of `budget` tokens; one that tokenizes otherwise alone is cut again."""
        piece = text[start:end]
        windows = token_windows(piece, self.tokens.token_spans(piece), budget, self._overlap(budget))
        if len(windows) == 1:
            middle = len(piece) // 2
            windows = [(0, middle), (middle, len(piece))]
        counts = self.tokens.token_counts([piece[first:last] for first, last in windows])
        result: list[Span] = []
        for (first, last), count in zip(windows, counts, strict=True):
            if count <= self.budget or last - first == 1:
                result.append((start + first, start + last))
            else:
                result += self._cut(text, start + first, start + last, max(1, budget * 3 // 4))
        return result

    def _overlap(self, budget: int) -> int:
        return budget * min(self.chunk_overlap, self.chunk_size // 4) // self.chunk_size


@cache
def langchain_splitter(chunk_size: int, language: str | None) -> RecursiveCharacterTextSplitter:
    """Return a splitter whose pieces, put together, are the text again; a word may exceed the size."""
    from langchain_text_splitters.base import Language  # noqa: PLC0415 - a second to import
    from langchain_text_splitters.character import RecursiveCharacterTextSplitter  # noqa: PLC0415 - the same

    separators: list[str] = list(PROSE_SEPARATORS)
    if language is not None:
        known = RecursiveCharacterTextSplitter.get_separators_for_language(Language(language))
        separators = [separator for separator in known if separator]
    return RecursiveCharacterTextSplitter(
        separators=separators,
        is_separator_regex=language is not None,
        keep_separator="start",
        strip_whitespace=False,
        chunk_size=chunk_size,
        chunk_overlap=0,
    )


def token_windows(piece: str, spans: Sequence[Span], budget: int, overlap: int) -> list[Span]:
    """Return windows that cover the piece: even in size, `budget` tokens at most, borders at white space."""
    starts = [start for start, _ in spans]
    windows: list[Span] = []
    begin, first = 0, 0
    while len(starts) - first > budget:
        left = len(starts) - first
        count = -(-(left - overlap) // (budget - overlap))
        size = -(-(left + (count - 1) * overlap) // count)
        cut = space_before(piece, starts[first + size * 3 // 4], starts[first + size])
        if cut <= begin:
            break
        windows.append((begin, cut))
        shared = starts[max(first + 1, bisect_left(starts, cut) - overlap)]
        begin = max(begin + 1, overlap_start(piece, min(shared, cut), cut))
        first = bisect_left(starts, begin)
    windows.append((begin, len(piece)))
    return windows


def space_before(text: str, earliest: int, latest: int) -> int:
    """Return the last border of a line, else of a word, in the range; else its end."""
    for separator in ("\n", " "):
        found = text.rfind(separator, earliest, latest)
        if found > earliest:
            return found + 1
    return latest


def overlap_start(text: str, earliest: int, latest: int) -> int:
    """Return where a shared part may begin: the first start of a line in the range, else of a word."""
    if earliest == 0 or text[earliest - 1] == "\n":
        return earliest
    for separator in ("\n", " "):
        found = text.find(separator, earliest - 1, latest)
        if found >= 0:
            return found + 1
    return earliest


def trimmed(text: str, start: int, end: int, *, keep_indent: bool) -> Span:
    """Return the slice without white space at its ends; `keep_indent` keeps that of its first line."""
    piece = text[start:end]
    last = start + len(piece.rstrip())
    first = start + len(piece) - len(piece.lstrip())
    if keep_indent:
        first = max(start, text.rfind("\n", start, first) + 1)
    return min(first, last), last


def _batches(spans: Iterator[Span], size: int) -> Iterator[list[Span]]:
    batch: list[Span] = []
    for span in spans:
        batch.append(span)
        if len(batch) == size:
            yield batch
            batch = []
    if batch:
        yield batch
