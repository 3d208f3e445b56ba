"""Runs a converted model with OpenVINO: on a CPU the fastest that computes the same."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from twin_assets.processing.encoder_options import Backend
from twin_assets.processing.networks.network import TokenRows

if TYPE_CHECKING:
    from twin_assets.processing.networks.torch_network import TorchNetwork

MODEL_FILE = "model.xml"


class OpenVinoNetwork:
    """Reads the packs of a call on as many streams as the CPU has good use for."""

    backend = Backend.OPENVINO
    budget = 512

    def __init__(self, folder: Path) -> None:
        openvino = _openvino()
        options = {
            "PERFORMANCE_HINT": "THROUGHPUT",
            # On some CPUs the default is bfloat16, which computes other vectors.
            "INFERENCE_PRECISION_HINT": "f32",
        }
        compiled = openvino.Core().compile_model(folder / MODEL_FILE, "CPU", options)
        self._queue = openvino.AsyncInferQueue(compiled)
        self._queue.set_callback(_keep)

    def run(self, packs: Sequence[TokenRows]) -> list[np.ndarray]:
        """Return float32 (n, dimension), rows of norm 1, for each pack."""
        found: dict[int, np.ndarray] = {}
        for place, pack in enumerate(packs):
            self._queue.start_async([pack.ids, pack.mask], (found, place))
        self._queue.wait_all()
        return [found[place] for place in range(len(packs))]


def convert(network: TorchNetwork, folder: Path) -> None:
    """Write the model for OpenVinoNetwork into a folder."""
    from twin_assets.processing.networks.tracing import example, traceable  # noqa: PLC0415 - imports torch

    openvino = _openvino()
    converted = openvino.convert_model(
        traceable(network), example_input=example(), input=[("ids", [-1, -1]), ("mask", [-1, -1])]
    )
    # Half precision would halve the file, and change the vectors.
    openvino.save_model(converted, folder / MODEL_FILE, compress_to_fp16=False)


def _openvino() -> Any:
    """Import OpenVINO without what reports each import and each conversion to its maker."""
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type] # None: nobody may import it
    import openvino  # noqa: PLC0415 - an extra, and only who embeds needs it

    return openvino


def _keep(request: Any, place: tuple[dict[int, np.ndarray], int]) -> None:
    found, index = place
    # A copy: the request's own memory is used for the next pack.
    found[index] = np.array(request.get_output_tensor(0).data, dtype=np.float32)
