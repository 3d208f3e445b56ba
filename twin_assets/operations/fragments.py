"""Pieces of a text by which it is recognised elsewhere: kept in memory, never shown."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

# Words with single spaces between them pass cleaning, chunking, JSON and logs unaltered.
RUN = re.compile(r"\w+(?: \w+)*")
# A piece begins at every word, and within what knows no spaces, as many scripts do, again and again.
BEGINNING = re.compile(r"\w{1,24}")
SHORTEST = 24
LONGEST = 48
MOST = 256
CANDIDATES = 4 * MOST
FEWEST_CHARACTERS = 8
BLOCK_BYTES = 1 << 20


class Fragments:
    """Up to 256 pieces of 24 to 48 characters, spread over the texts; false where these are too short."""

    def __init__(self, texts: Iterable[str]) -> None:
        pieces = list(dict.fromkeys(_pieces("\n".join(texts))))
        step = max(1.0, len(pieces) / MOST)
        self._pieces = [pieces[int(number * step)] for number in range(min(MOST, len(pieces)))]
        self._bytes = sorted({form for piece in self._pieces for form in _encoded(piece)})

    def __bool__(self) -> bool:
        return bool(self._pieces)

    def __repr__(self) -> str:
        return f"<{len(self._pieces)} fragments>"

    def in_texts(self, texts: Iterable[str]) -> frozenset[str]:
        """Return the pieces that occur in some of the texts."""
        whole = "\n".join(texts)
        return frozenset(piece for piece in self._pieces if piece in whole)

    def are_in_bytes(self, body: bytes) -> bool:
        """Say whether some piece occurs, as UTF-8 or as JSON escapes it."""
        return any(piece in body for piece in self._bytes)

    def are_in_file(self, path: Path) -> bool:
        """Say whether some piece occurs in a file, a block in memory at a time."""
        overlap = max(map(len, self._bytes), default=1) - 1
        rest = b""
        with path.open("rb") as file:
            while block := file.read(BLOCK_BYTES):
                if self.are_in_bytes(rest + block):
                    return True
                rest = (rest + block)[-overlap:]
        return False


def texts_in(value: Any) -> Iterator[str]:
    """Yield every text in a plain value, nested ones included, names of fields left out."""
    match value:
        case str():
            yield value
        case dict():
            for item in value.values():
                yield from texts_in(item)
        case list() | tuple():
            for item in value:
                yield from texts_in(item)


def _pieces(text: str) -> Iterator[str]:
    """Yield pieces that overlap in a short text and lie apart in a long one."""
    apart = len(text) // CANDIDATES
    free_from = 0
    for run in RUN.finditer(text):
        for beginning in BEGINNING.finditer(text, *run.span()):
            start = beginning.start()
            if start < free_from:
                continue
            piece = _piece(text, start, run.end())
            if len(piece) >= SHORTEST and len(set(piece)) >= FEWEST_CHARACTERS:
                yield piece
                free_from = start + apart


def _piece(text: str, start: int, end: int) -> str:
    """Return the shortest row of whole words that is long enough."""
    space = text.find(" ", start + SHORTEST, end)
    return text[start : min(end if space < 0 else space, start + LONGEST)]


def _encoded(piece: str) -> tuple[bytes, bytes]:
    return piece.encode("utf-8", "surrogatepass"), json.dumps(piece)[1:-1].encode("ascii")
