"""A library that computes something else: what a conversion has to refuse."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from twin_assets.processing.networks.network import TokenRows


class WrongNetwork:
    budget = 512

    def __init__(self, folder: Path) -> None:
        self.dimension = int((folder / "wrong.txt").read_text())

    def run(self, packs: Sequence[TokenRows]) -> list[np.ndarray]:
        return [np.full((len(pack.ids), self.dimension), self.dimension**-0.5) for pack in packs]


def convert(network: Any, folder: Path) -> None:
    (folder / "wrong.txt").write_text(str(network.transformer.get_embedding_dimension()))
