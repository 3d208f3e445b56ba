"""Vectors that this process has computed before: text moves between documents, and comes back."""

from __future__ import annotations

from array import array
from collections import OrderedDict
from collections.abc import Sequence
from hashlib import blake2b
from threading import Lock

# What an entry weighs beside its numbers: key, array and their places, measured on CPython 3.11.
ENTRY_BYTES = 300
FLOAT_BYTES = 4


class VectorCache:
    """Keeps the vectors that were used last, by recipe and text, up to a size in bytes; 0 keeps none.

    It never holds a text, only a hash of it, and ends with its process. Safe to use from several threads.
    """

    def __init__(self, limit_bytes: int) -> None:
        self._limit = limit_bytes
        self._size = 0
        self._vectors: OrderedDict[bytes, array[float]] = OrderedDict()
        self._lock = Lock()

    def get(self, recipe: str, text: str) -> tuple[float, ...] | None:
        """Return the vector of a text, None where it is not known."""
        with self._lock:
            key = _key(recipe, text)
            if key not in self._vectors:
                return None
            self._vectors.move_to_end(key)
            return tuple(self._vectors[key])

    def put(self, recipe: str, text: str, vector: Sequence[float]) -> None:
        """Keep a vector (float32), and let go of those that nobody has asked for the longest."""
        weight = _weight(vector)
        if weight > self._limit:
            return
        with self._lock:
            key = _key(recipe, text)
            if key in self._vectors:
                self._size -= _weight(self._vectors.pop(key))
            self._vectors[key] = array("f", vector)
            self._size += weight
            while self._size > self._limit:
                self._size -= _weight(self._vectors.popitem(last=False)[1])

    def __len__(self) -> int:
        return len(self._vectors)


def _key(recipe: str, text: str) -> bytes:
    # A recipe's short name has a fixed length, so recipe and text cannot run into each other.
    return blake2b((recipe + text).encode("utf-8", "surrogatepass"), digest_size=16).digest()


def _weight(vector: Sequence[float]) -> int:
    return ENTRY_BYTES + FLOAT_BYTES * len(vector)
