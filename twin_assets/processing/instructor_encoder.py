"""The instructor encoder: InstructorEmbedding's model on today's sentence-transformers."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from twin_assets.processing.model_files import ModelDescription
from twin_assets.processing.sentence_encoder import SentenceEncoder

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer


class InstructorEncoder(SentenceEncoder):
    """Puts the instruction before every text and leaves its tokens out of the pooling.

    InstructorEmbedding 1.0.1 has an `encode` that breaks on today's sentence-transformers, and is silently
    wrong once patched; the inherited prompt route computes what it did, with the prompt out of the pooling.
    """

    def __init__(self, model: str, folder: Path, description: ModelDescription, instruction: str) -> None:
        super().__init__(model, folder, description, prompt=prompt_of(instruction))

    def _load(self, folder: Path) -> SentenceTransformer:
        network = super()._load(folder)
        network.set_pooling_include_prompt(include_prompt=False)
        return network

    def _network_class(self) -> Any:
        from InstructorEmbedding import INSTRUCTOR  # noqa: PLC0415 - imports torch

        return INSTRUCTOR


def prompt_of(instruction: str) -> str:
    """Return the instruction as the model was trained to read it: `Represent the … for …: `."""
    return f"{instruction.strip().rstrip(':').rstrip()}: "
