"""InstructorEmbedding's model on today's sentence-transformers."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from twin_assets.processing.networks.torch_network import TorchNetwork

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer


class InstructorNetwork(TorchNetwork):
    """Leaves the tokens of the instruction out of the pooling.

    InstructorEmbedding 1.0.1 has an `encode` that breaks on today's sentence-transformers, and is silently
    wrong once patched; the prompt route of sentence-transformers computes what it did.
    """

    def _load(self, folder: Path, device: str | None) -> SentenceTransformer:
        transformer = super()._load(folder, device)
        transformer.set_pooling_include_prompt(include_prompt=False)
        return transformer

    def _transformer_class(self) -> Any:
        from InstructorEmbedding import INSTRUCTOR  # noqa: PLC0415 - imports torch

        return INSTRUCTOR
