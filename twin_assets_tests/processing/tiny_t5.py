"""Writes a T5 encoder of a few kilobytes in the layout of instructor-xl; importing it imports torch."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from sentence_transformers.sentence_transformer.modules import Dense
from tokenizers import Tokenizer, models, pre_tokenizers, trainers
from transformers import T5Config, T5EncoderModel, T5Tokenizer

from twin_assets_tests.processing.builders import POOLING, T5_DIMENSION, T5_MAX_TOKENS, T5_WIDTH, write_json

CORPUS = [
    "Represent the source code for retrieval: def main(): return 1",
    "import os class A: pass for x in y",
] * 20


def write_tiny_t5(folder: Path, *, dimension: int = T5_DIMENSION) -> Path:
    """Write the model with random weights, the same on every run; its vectors have `dimension` numbers."""
    torch.manual_seed(7)
    tokenizer = _tokenizer()
    tokenizer.save_pretrained(folder)
    config = T5Config(
        vocab_size=len(tokenizer),
        d_model=T5_WIDTH,
        d_kv=8,
        d_ff=64,
        num_layers=2,
        num_heads=4,
        feed_forward_proj="gated-gelu",
    )
    T5EncoderModel(config).save_pretrained(folder)
    _write_modules(folder, dimension)
    return folder


def _tokenizer() -> Any:
    unigram = Tokenizer(models.Unigram())
    unigram.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Metaspace()]
    )
    special = ["<pad>", "</s>", "<unk>"]
    trainer = trainers.UnigramTrainer(
        vocab_size=90, special_tokens=special, unk_token="<unk>", show_progress=False
    )
    unigram.train_from_iterator(CORPUS, trainer)
    vocabulary = json.loads(unigram.to_str())["model"]["vocab"]
    return T5Tokenizer(vocab=[(piece, score) for piece, score in vocabulary], extra_ids=0)


def _write_modules(folder: Path, dimension: int) -> None:
    dense = folder / "2_Dense"
    dense.mkdir()
    Dense(T5_WIDTH, dimension, bias=False, activation_function=torch.nn.Identity()).save(str(dense))
    kinds = {"": "Transformer", "1_Pooling": "Pooling", "2_Dense": "Dense", "3_Normalize": "Normalize"}
    write_json(
        folder / "modules.json",
        [
            {"idx": index, "name": str(index), "path": path, "type": f"sentence_transformers.models.{kind}"}
            for index, (path, kind) in enumerate(kinds.items())
        ],
    )
    write_json(
        folder / "sentence_bert_config.json", {"max_seq_length": T5_MAX_TOKENS, "do_lower_case": False}
    )
    write_json(folder / "1_Pooling" / "config.json", POOLING)
