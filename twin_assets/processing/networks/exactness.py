"""Whether a network computes what the reference does: a fixed set of texts, and how near is near enough."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from twin_assets.models.recipe import Precision

# Rounded weights make other vectors, which is why they are part of a recipe. What no text of the set may fall
# below only finds a model that does not bear it: benchmarks/precision.py measures what searches lose.
LEAST_COSINES: dict[Precision, float] = {"float32": 0.9999, "int8": 0.9}

_SENTENCE = "A change is acknowledged only after every write that it needs is durable, and not before. "
_CODE = "def walk(tree):\n    for node in tree.children:\n        yield from walk(node)\n"
# Short and long, prose and code, other scripts, signs, and longer than any model reads.
FIXED_TEXTS = (
    "x",
    "Queues keep order.",
    "Which database stores the documents of a person?",
    "¿Dónde está la biblioteca? Größe, œuvre, naïveté.",
    "漢字かな交じり文と、中文字符。",
    "Здравствуйте, как дела? Хорошо, спасибо.",
    "{}[]();=<>!?#&|~^%$@" * 4,
    "3.14159 2026-11-26T22:00:00Z 0xdeadbeef 1e-5",
    "💥 emoji 🚀 between words",
    _CODE,
    _CODE * 5,
    _SENTENCE * 2,
    _SENTENCE * 5,
    _SENTENCE * 9,
    _SENTENCE * 40,
    " ".join(str(number * 7919) for number in range(300)),
)


def least_cosine(found: Sequence[np.ndarray], expected: Sequence[np.ndarray]) -> float:
    """Return the least cosine between rows of equal place; -1 where a number is not finite."""
    ours = np.concatenate([np.asarray(rows, dtype=np.float64) for rows in found])
    theirs = np.concatenate([np.asarray(rows, dtype=np.float64) for rows in expected])
    if not np.isfinite(ours).all():
        return -1.0
    norms = np.linalg.norm(ours, axis=1) * np.linalg.norm(theirs, axis=1)
    return float((np.einsum("ij,ij->i", ours, theirs) / norms).min())


def is_exact(found: Sequence[np.ndarray], expected: Sequence[np.ndarray]) -> bool:
    """Tell whether all rows are as good as equal."""
    return least_cosine(found, expected) > LEAST_COSINES["float32"]
