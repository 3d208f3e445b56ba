"""Runs a model as sentence-transformers does, with torch: the reference for every other network."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from copy import deepcopy
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from twin_assets.errors import ModelUnavailable
from twin_assets.processing.encoder_options import Backend
from twin_assets.processing.networks.exactness import is_exact
from twin_assets.processing.networks.network import TokenRows

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

CPU_BUDGET = 1024
CUDA_BUDGET = 32_768


class TorchNetwork:
    """Multiplies on CUDA where there is one, else on the CPU, in single precision unless told otherwise.

    `model` is the name for messages, `folder` holds its files, `device` is torch's name of one.
    """

    backend = Backend.TORCH

    def __init__(
        self,
        model: str,
        folder: Path,
        *,
        max_tokens: int,
        prompt: str | None = None,
        device: str | None = None,
    ) -> None:
        self._model = model
        self.transformer = self._load(folder, device)
        self.transformer.max_seq_length = max_tokens
        self.transformer.float().eval()
        self.on_cuda = self.transformer.device.type == "cuda"
        self.budget = CUDA_BUDGET if self.on_cuda else CPU_BUDGET
        self.tokenizer_json: str = self.transformer.tokenizer.backend_tokenizer.to_str()
        self.padding_id = int(self.transformer.tokenizer.pad_token_id)
        self._extra = self._prompt_features(prompt) if prompt else {}

    def run(self, packs: Sequence[TokenRows]) -> list[np.ndarray]:
        """Return float32 (n, dimension), rows of norm 1, for each pack."""
        import torch  # noqa: PLC0415 - loaded by then

        with torch.inference_mode():
            # On CUDA nothing waits before the last pack is under way.
            found = [self.forward(self._to_device(pack.ids), self._to_device(pack.mask)) for pack in packs]
            return [np.ascontiguousarray(rows.float().cpu().numpy()) for rows in found]

    def try_half_precision(self, packs: Sequence[TokenRows]) -> bool:
        """Go over to half precision if the vectors of some packs stay what they are; return whether."""
        single, expected = self.transformer, self.run(packs)
        self.transformer = deepcopy(single).half()
        if not is_exact(self.run(packs), expected):
            self.transformer = single
        return self.transformer is not single

    def forward(self, ids: Any, mask: Any) -> Any:
        """Return a tensor of unit rows for tensors of ids and mask; what a conversion traces."""
        from torch.nn.functional import normalize  # noqa: PLC0415 - loaded by then

        features = {"input_ids": ids, "attention_mask": mask, "modality": "text", **self._extra}
        return normalize(self.transformer(features)["sentence_embedding"], p=2, dim=1)

    def _to_device(self, array: np.ndarray) -> Any:
        import torch  # noqa: PLC0415 - loaded by then

        tensor = torch.from_numpy(array)
        if self.on_cuda:
            # From pinned memory the copy runs beside the multiplication.
            return tensor.pin_memory().to(self.transformer.device, non_blocking=True)
        return tensor

    def _prompt_features(self, prompt: str) -> dict[str, int]:
        length = self.transformer.preprocess(["text"], prompt=prompt).get("prompt_length")
        return {} if length is None else {"prompt_length": int(length)}

    def _load(self, folder: Path, device: str | None) -> SentenceTransformer:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            import torch  # noqa: PLC0415 - 420 MB, ten seconds
            from transformers.utils import logging  # noqa: PLC0415 - the same

            logging.set_verbosity_error()  # type: ignore[no-untyped-call]
            logging.disable_progress_bar()  # type: ignore[no-untyped-call]
            try:
                transformer: SentenceTransformer = self._transformer_class()(
                    str(folder),
                    device=device or ("cuda" if torch.cuda.is_available() else "cpu"),
                    local_files_only=True,
                )
            except (OSError, ValueError, ImportError, KeyError, RuntimeError) as error:
                raise ModelUnavailable(
                    self._model, f"{type(error).__name__}: {error}".splitlines()[0]
                ) from error
        return transformer

    def _transformer_class(self) -> Any:
        from sentence_transformers import SentenceTransformer  # noqa: PLC0415 - imports torch

        return SentenceTransformer
