"""Which library multiplies fastest here, and in packs of which size: `python -m benchmarks.encoders`.

The same chunks of real text go through every library that is installed, as the stream hands them over: by
slices of like length. Rounds take turns, so that what else the machine does meets all alike, and a figure is
the median of its rounds, as a share of torch's with its own budget. Prints a table and keeps it.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Sequence
from importlib.util import find_spec

from rich.console import Console
from rich.table import Table

from benchmarks.report import keep
from benchmarks.texts import articles
from twin_assets.models.kinds import DataType
from twin_assets.processing.backends import has_cuda
from twin_assets.processing.dispatch import ChunkingDispatcher, CleaningDispatcher, RawDispatcher
from twin_assets.processing.encoder import SLICE, describe_model, load_encoder
from twin_assets.processing.encoder_options import Backend, EncoderOptions
from twin_assets.processing.networks.converted import PACKAGES
from twin_assets.processing.packing import pack, padding_share
from twin_assets.processing.recipes import vector_recipe
from twin_assets.processing.sentence_encoder import SentenceEncoder
from twin_assets.settings import Settings

BUDGETS = (256, 512, 1024, 2048, 4096)
CUDA_BUDGETS = (4096, 16_384, 32_768, 65_536)


def main() -> None:
    arguments = _arguments()
    recipe = vector_recipe(Settings(_env_file=None, text_model=arguments.model), DataType.ARTICLES)
    backends = [Backend.TORCH, *(each for each in PACKAGES if find_spec(PACKAGES[each]))]
    encoders = {backend: _load(recipe, backend) for backend in backends}
    own = {backend: encoder.network.budget for backend, encoder in encoders.items()}
    texts = _chunks(recipe, encoders[Backend.TORCH], at_most=arguments.chunks)
    lengths = [length + encoders[Backend.TORCH].special_tokens for length in _lengths(encoders, texts)]
    budgets = CUDA_BUDGETS if has_cuda() else BUDGETS
    rates: dict[tuple[Backend, int], list[float]] = {}
    for _ in range(arguments.rounds):
        for backend, encoder in encoders.items():
            for budget in sorted({*budgets, own[backend]}):
                encoder.network.budget = budget
                rates.setdefault((backend, budget), []).append(_rate(encoder, texts, by=arguments.slice))
    medians = {key: statistics.median(found) for key, found in rates.items()}
    base = medians[Backend.TORCH, own[Backend.TORCH]]
    table = Table("library", "tokens per pack", "chunks/s", "× torch", "padding", "spread")
    for (backend, budget), rate in medians.items():
        found = rates[backend, budget]
        mark = " (set)" if budget == own[backend] else ""
        table.add_row(
            backend.value,
            f"{budget}{mark}",
            f"{rate:.1f}",
            f"{rate / base:.2f}",
            f"{_padding(lengths, budget, by=arguments.slice):.1%}",
            f"{max(found) / min(found):.2f}",
        )
    Console().print(table)
    figures = {f"{backend.value}_{budget}_chunks_per_s": rate for (backend, budget), rate in medians.items()}
    print(f"{len(texts)} chunks of {statistics.mean(lengths):.0f} tokens, in slices of {arguments.slice}")
    print(f"kept in {keep(figures | {'chunks': len(texts), 'mean_tokens': statistics.mean(lengths)})}")


def _load(recipe, backend: Backend) -> SentenceEncoder:
    encoder = load_encoder(recipe, EncoderOptions(backend))
    assert isinstance(encoder, SentenceEncoder), f"{recipe.model} has no weights to measure"
    return encoder


def _chunks(recipe, encoder: SentenceEncoder, *, at_most: int) -> list[str]:
    """Return distinct chunks, the shortest first, as a batch of the stream has them."""
    clean = CleaningDispatcher(recipe.cleaned)
    cut = ChunkingDispatcher(recipe, encoder, 20_000)
    found: set[str] = set()
    for document in articles(100, prefix="encoders"):
        raw = RawDispatcher.dispatch(DataType.ARTICLES, f"str:{document['_id']}", document)
        found.update(chunk.content for chunk in cut.dispatch(clean.dispatch(raw)))
        if len(found) >= at_most:
            break
    return sorted(sorted(found)[:at_most], key=len)


def _lengths(encoders: dict[Backend, SentenceEncoder], texts: Sequence[str]) -> list[int]:
    return encoders[Backend.TORCH].token_counts(texts)


def _padding(lengths: Sequence[int], budget: int, *, by: int) -> float:
    slices = [lengths[start : start + by] for start in range(0, len(lengths), by)]
    shares = [padding_share(each, pack(each, budget=budget)) for each in slices]
    return statistics.mean(shares)


def _rate(encoder: SentenceEncoder, texts: Sequence[str], *, by: int) -> float:
    started = time.perf_counter()
    for start in range(0, len(texts), by):
        encoder.encode(texts[start : start + by])
    return len(texts) / (time.perf_counter() - started)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="benchmarks.encoders", description=__doc__)
    parser.add_argument("--model", default="all-MiniLM-L6-v2", help="a name or a folder")
    parser.add_argument("--chunks", type=int, default=256)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--slice", type=int, default=SLICE, help=f"texts per call; the stream has {SLICE}")
    arguments = parser.parse_args()
    describe_model(arguments.model)
    return arguments


if __name__ == "__main__":
    main()
