"""What weights of 8 bits gain and lose: `python -m benchmarks.precision --documents 40`.

Chunks of real texts, by the exact weights as they run here and by the rounded ones, in turns. **kept**: which
share of the ten nearest neighbours of each chunk stays among them. **found**: a sentence out of the middle of
each chunk is the query; how often the chunk itself comes first, and is among the first ten. Prints a table
and keeps it.
"""

from __future__ import annotations

import argparse
import re
import statistics
import time
from collections.abc import Sequence

import numpy as np
from rich.console import Console
from rich.table import Table

from benchmarks.report import Figures, keep
from benchmarks.texts import articles
from twin_assets.models.kinds import DataType
from twin_assets.models.recipe import VectorRecipe
from twin_assets.operations.processors import Processors
from twin_assets.processing.dispatch import RawDispatcher
from twin_assets.processing.encoder import SLICE, Encoder, load_encoder
from twin_assets.processing.encoder_options import EncoderOptions
from twin_assets.processing.recipes import vector_recipe
from twin_assets.settings import Settings

ROUNDS = 3
NEAREST = 10
SENTENCE_END = re.compile(r"(?<=[.!?])\s+|\n+")
QUERY_WORDS = (6, 20)


def main() -> None:
    parser = argparse.ArgumentParser(prog="benchmarks.precision", description=__doc__)
    parser.add_argument("--documents", type=int, default=40)
    documents = parser.parse_args().documents
    settings = {name: Settings(_env_file=None, text_precision=name) for name in ("float32", "int8")}
    recipes = {name: vector_recipe(each, DataType.ARTICLES) for name, each in settings.items()}
    encoders = {
        name: load_encoder(recipe, EncoderOptions.of(settings[name])) for name, recipe in recipes.items()
    }
    texts = _chunks(settings["float32"], recipes["float32"], documents)
    places = [place for place, text in enumerate(texts) if _query(text)]
    queries = [_query(texts[place]) for place in places]
    rates: dict[str, list[float]] = {}
    vectors: dict[str, np.ndarray] = {}
    for _ in range(ROUNDS):
        for name, encoder in encoders.items():
            started = time.perf_counter()
            vectors[name] = _encode(encoder, texts)
            rates.setdefault(name, []).append(len(texts) / (time.perf_counter() - started))
    figures: Figures = {"chunks": len(texts), "queries": len(queries)}
    for name, encoder in encoders.items():
        ranks = _ranks(_encode(encoder, queries) @ vectors[name].T, places)
        figures |= {
            f"{name}_chunks_per_s": statistics.median(rates[name]),
            f"{name}_spread": max(rates[name]) / min(rates[name]),
            f"{name}_found_first": float((ranks == 0).mean()),
            f"{name}_found_among_10": float((ranks < NEAREST).mean()),
        }
    figures["int8_speed"] = figures["int8_chunks_per_s"] / figures["float32_chunks_per_s"]
    figures["int8_least_cosine"] = float((vectors["int8"] * vectors["float32"]).sum(axis=1).min())
    figures["int8_neighbours_kept"] = _kept(vectors["float32"], vectors["int8"])
    table = Table("figure", "value")
    for name, value in figures.items():
        table.add_row(name, f"{value:.3f}")
    Console().print(table)
    print(f"kept in {keep(figures)}")


def _chunks(settings: Settings, recipe: VectorRecipe, documents: int) -> list[str]:
    """Return distinct chunks, the shortest first, as a batch of the stream has them."""
    processors, found = Processors.of(settings), set()
    for document in articles(documents, prefix="precision"):
        raw = RawDispatcher.dispatch(DataType.ARTICLES, f"str:{document['_id']}", document)
        cleaned = processors.clean(recipe.cleaned, raw)
        found.update(chunk.content for chunk in processors.chunk(recipe, cleaned))
    return sorted(sorted(found), key=len)


def _query(text: str) -> str:
    """Return a sentence from the middle of a text; nothing where none is of a query's length."""
    sentences = SENTENCE_END.split(text)[1:-1]
    fit = [each for each in sentences if QUERY_WORDS[0] <= len(each.split()) <= QUERY_WORDS[1]]
    return fit[len(fit) // 2] if fit else ""


def _encode(encoder: Encoder, texts: Sequence[str]) -> np.ndarray:
    return np.concatenate(
        [encoder.encode(texts[start : start + SLICE]) for start in range(0, len(texts), SLICE)]
    )


def _ranks(scores: np.ndarray, places: Sequence[int]) -> np.ndarray:
    """Return how many chunks are nearer to each query than the one that it comes from."""
    own = scores[np.arange(len(places)), places]
    return (scores > own[:, None]).sum(axis=1)


def _kept(exact: np.ndarray, rounded: np.ndarray) -> float:
    shares = zip(_nearest(exact), _nearest(rounded), strict=True)
    return statistics.mean(len(set(ours) & set(theirs)) / NEAREST for ours, theirs in shares)


def _nearest(vectors: np.ndarray) -> list[list[int]]:
    scores = vectors @ vectors.T
    np.fill_diagonal(scores, -2)
    nearest: list[list[int]] = np.argsort(-scores, axis=1)[:, :NEAREST].tolist()
    return nearest


if __name__ == "__main__":
    main()
