"""InstructorEmbedding's own computation, run piece by piece where its `encode` no longer works."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file
from transformers import AutoTokenizer, T5EncoderModel

from twin_assets_tests.processing.builders import T5_MAX_TOKENS

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from InstructorEmbedding.instructor import INSTRUCTOR_Pooling, INSTRUCTOR_Transformer


class _OriginalTransformer:
    """Its own methods, on a network and a tokenizer that it can no longer load itself."""

    max_seq_length = T5_MAX_TOKENS
    do_lower_case = False
    tokenize = INSTRUCTOR_Transformer.tokenize
    forward = INSTRUCTOR_Transformer.forward

    def __init__(self, folder: Path) -> None:
        self.auto_model = T5EncoderModel.from_pretrained(folder).eval()
        self.tokenizer = AutoTokenizer.from_pretrained(folder)


def original_vectors(folder: Path, pairs: list[list[str]]) -> np.ndarray:
    """Return what INSTRUCTOR.encode did in its day: tokenize, forward and pool, then Dense and norm."""
    transformer = _OriginalTransformer(folder)
    dense = load_file(folder / "2_Dense" / "model.safetensors")["linear.weight"]
    with torch.no_grad():
        features = transformer.forward(transformer.tokenize(pairs))
        pooled = INSTRUCTOR_Pooling.load(str(folder / "1_Pooling")).forward(features)["sentence_embedding"]
        vectors: np.ndarray = torch.nn.functional.normalize(pooled @ dense.T, p=2, dim=1).numpy()
    return vectors
