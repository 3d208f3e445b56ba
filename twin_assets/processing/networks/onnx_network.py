"""Runs a converted model with ONNX Runtime, for machines that OpenVINO does not know."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from twin_assets.processing.encoder_options import Backend
from twin_assets.processing.networks.network import TokenRows

if TYPE_CHECKING:
    from twin_assets.processing.networks.torch_network import TorchNetwork

MODEL_FILE = "model.onnx"
INT8_FILE = "model.int8.onnx"


class OnnxNetwork:
    """Reads one pack after the other, each on all cores; with rounded weights a pack is one text.

    What is multiplied with rounded weights is rounded too, in steps that depend on all that is in the pack: a
    text that is read alone has one vector, whatever it came with.
    """

    backend = Backend.ONNX

    def __init__(self, folder: Path) -> None:
        import onnxruntime  # noqa: PLC0415 - an extra, and only who embeds needs it

        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3
        # Buffers for every shape there ever was would grow for hours.
        options.enable_mem_pattern = False
        is_rounded = (folder / INT8_FILE).exists()
        self.budget = 1 if is_rounded else 512
        self._session = onnxruntime.InferenceSession(
            folder / (INT8_FILE if is_rounded else MODEL_FILE), options, providers=["CPUExecutionProvider"]
        )

    def run(self, packs: Sequence[TokenRows]) -> list[np.ndarray]:
        """Return float32 (n, dimension), rows of norm 1, for each pack."""
        return [self._session.run(None, {"ids": pack.ids, "mask": pack.mask})[0] for pack in packs]


def convert(network: TorchNetwork, folder: Path) -> None:
    """Write the model for OnnxNetwork into a folder."""
    import torch  # noqa: PLC0415 - loaded by then

    from twin_assets.processing.networks.tracing import example, traceable  # noqa: PLC0415 - imports torch

    torch.onnx.export(
        traceable(network),
        example(),
        str(folder / MODEL_FILE),
        input_names=["ids", "mask"],
        output_names=["vectors"],
        dynamic_axes={"ids": {0: "texts", 1: "tokens"}, "mask": {0: "texts", 1: "tokens"}},
        dynamo=False,
    )


def quantize(folder: Path) -> None:
    """Replace a converted model by one with weights of 8 bits, a step per channel.

    Without a sign: products of signed ones overflow on processors without VNNI, which gives other vectors.
    """
    from onnxruntime.quantization import QuantType, quantize_dynamic  # noqa: PLC0415 - only who converts

    model = folder / MODEL_FILE
    quantize_dynamic(model, folder / INT8_FILE, weight_type=QuantType.QUInt8, per_channel=True)
    model.unlink()
