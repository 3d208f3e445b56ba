"""How much of the time a network multiplies: what is left is what the flow around it costs."""

from __future__ import annotations

import time
from collections.abc import Sequence

import numpy as np

from twin_assets.models.recipe import VectorRecipe
from twin_assets.processing.encoder import load_encoder
from twin_assets.processing.encoder_options import EncoderOptions
from twin_assets.processing.networks.network import Network, TokenRows
from twin_assets.processing.sentence_encoder import SentenceEncoder
from twin_assets.settings import Settings


class TimedNetwork:
    """A network that knows how long it has worked, in seconds on the clock."""

    def __init__(self, network: Network) -> None:
        self._network = network
        self.backend = network.backend
        self.budget = network.budget
        self.busy_s = 0.0

    def run(self, packs: Sequence[TokenRows]) -> list[np.ndarray]:
        started = time.perf_counter()
        try:
            return self._network.run(packs)
        finally:
            self.busy_s += time.perf_counter() - started


def timed_network(settings: Settings, recipe: VectorRecipe) -> TimedNetwork:
    """Time the network of this process's encoder of a recipe from now on."""
    encoder = load_encoder(recipe, EncoderOptions.of(settings))
    if not isinstance(encoder, SentenceEncoder):
        raise TypeError(f"{recipe.model} has no network")
    timed = TimedNetwork(encoder.network)
    encoder.network = timed
    return timed
