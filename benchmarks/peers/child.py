"""The side of the peers' processes: commands come in as lines of JSON, and one line answers each.

A document is `{"id": …, "text": …}`. Commands are `{"do": "ingest", "documents": […]}` for those that are new
or changed, `sync` with all that there are, `check` with all that there should be, and `encode` for the time
that the encoder alone takes for everything embedded since the last time.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, Protocol

CHUNK_SIZE = 500
CHUNK_OVERLAP = 50
BATCH = 32

Document = dict[str, str]


class Peer(Protocol):
    """One library at this job, as its documentation recommends."""

    def ingest(self, documents: Sequence[Document]) -> None:
        """Bring new and changed documents into Qdrant."""

    def sync(self, documents: Sequence[Document]) -> None:
        """Make Qdrant hold these documents and no others."""

    def wanted(self, documents: Sequence[Document]) -> Iterable[tuple[str, str]]:
        """Return id and text of each chunk that documents should have."""

    def held(self) -> Iterable[tuple[str, str]]:
        """Return id and text of each chunk in Qdrant."""


class CountingEncoder:
    """sentence-transformers as both libraries wrap it, and what it was given."""

    def __init__(self, folder: str) -> None:
        from sentence_transformers import SentenceTransformer  # noqa: PLC0415 - seconds, and torch

        self._transformer = SentenceTransformer(folder, device="cpu", local_files_only=True)
        self.texts: list[str] = []

    def encode(self, texts: Sequence[str]) -> list[list[float]]:
        self.texts += texts
        return self._rows(texts)

    def seconds_alone(self) -> float:
        """Encode all texts so far at once, equal ones once, which is the best case; forget them."""
        texts, self.texts = list(dict.fromkeys(self.texts)), []
        started = time.perf_counter()
        self._rows(texts)
        return time.perf_counter() - started

    def _rows(self, texts: Sequence[str]) -> list[list[float]]:
        rows = self._transformer.encode(list(texts), batch_size=BATCH, normalize_embeddings=True)
        return rows.tolist()


def serve(make: Callable[[CountingEncoder, argparse.Namespace], Peer]) -> None:
    """Answer until standard input ends."""
    arguments = _arguments()
    encoder = CountingEncoder(arguments.model)
    peer = make(encoder, arguments)
    # Whatever the libraries print must not be taken for an answer.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    _answer(answers, {})
    for line in sys.stdin:
        _answer(answers, _act(peer, encoder, json.loads(line)))


def _act(peer: Peer, encoder: CountingEncoder, command: dict[str, Any]) -> dict[str, Any]:
    match command:
        case {"do": "encode"}:
            texts = len(set(encoder.texts))
            return {"texts": texts, "seconds": encoder.seconds_alone()}
        case {"do": "check", "documents": documents}:
            wanted, held = Counter(peer.wanted(documents)), Counter(peer.held())
            return {
                "chunks": held.total(),
                "missing": (wanted - held).total(),
                "left_over": sum(count for key, count in held.items() if key not in wanted),
                "twice": sum(max(0, count - wanted[key]) for key, count in held.items() if key in wanted),
            }
        case {"do": "ingest" | "sync" as what, "documents": documents}:
            before, started = len(encoder.texts), time.perf_counter()
            (peer.ingest if what == "ingest" else peer.sync)(documents)
            return {"seconds": time.perf_counter() - started, "embedded": len(encoder.texts) - before}
    raise ValueError(f"unknown command {command}")


def _answer(answers: Any, answer: dict[str, Any]) -> None:
    answers.write(json.dumps(answer) + "\n")
    answers.flush()


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--url", required=True, help="Qdrant's")
    parser.add_argument("--collection", required=True)
    parser.add_argument("--model", required=True, help="a folder")
    parser.add_argument("--folder", type=Path, required=True, help="for what the library keeps of its own")
    return parser.parse_args()
