"""Chooses the library that runs a model, and makes the encoder with it."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

from twin_assets.errors import ModelUnavailable
from twin_assets.processing.encoder_options import Backend, EncoderOptions
from twin_assets.processing.model_files import ModelDescription
from twin_assets.processing.networks.conversion import FACTS_FILE, TOKENIZER_FILE, fixed_rows, open_network
from twin_assets.processing.networks.converted import PACKAGES, ModelFiles, NotConverted, converted_folder
from twin_assets.processing.sentence_encoder import SentenceEncoder
from twin_assets.processing.tokens import ModelTokenizer

# Converting takes several times the weights in memory and once more on disk: nobody is surprised with that.
AUTO_LIMIT_BYTES = 2**30
# In the order of their speed on CPUs; benchmarks/encoders.py measures it.
FASTEST_FIRST = (Backend.OPENVINO, Backend.ONNX)

log = logging.getLogger(__name__)


def make_encoder(
    files: ModelFiles, description: ModelDescription, options: EncoderOptions
) -> SentenceEncoder:
    """Return an encoder by the wished backend, `auto` by the fastest that is installed and exact.

    Raises ModelUnavailable where the wished one cannot be had, or the weights cannot be read. Rounded weights
    are ONNX Runtime's alone: each library rounds in another way, so another one would make other vectors.
    """
    for backend in _candidates(files, options):
        try:
            return _converted(backend, files, description, home=options.home)
        except NotConverted as reason:
            if options.backend is backend or files.precision != "float32":
                raise ModelUnavailable(files.model, f"not with {backend.value}: {reason}") from reason
            log.warning("%s runs without %s: %s", files.model, backend.value, reason)
    return _with_torch(files, description)


def has_cuda() -> bool:
    """Tell whether torch would find a GPU, without importing it."""
    torch = find_spec("torch")
    built = (
        torch is not None
        and torch.origin is not None
        and any(Path(torch.origin).parent.glob("lib/libtorch_cuda*"))
    )
    return (
        built
        and Path("/proc/driver/nvidia/version").exists()
        and os.environ.get("CUDA_VISIBLE_DEVICES") != ""
    )


def _candidates(files: ModelFiles, options: EncoderOptions) -> Iterator[Backend]:
    if files.precision != "float32":
        if options.backend not in (Backend.AUTO, Backend.ONNX):
            wish = f"TWIN_ENCODER_BACKEND={options.backend.value}"
            raise ModelUnavailable(files.model, f"{files.precision} runs with onnx alone, not with {wish}")
        yield Backend.ONNX
    elif options.backend in PACKAGES:
        yield options.backend
    elif options.backend is Backend.AUTO and not has_cuda() and files.weight_bytes() <= AUTO_LIMIT_BYTES:
        yield from (backend for backend in FASTEST_FIRST if find_spec(PACKAGES[backend]))


def _converted(
    backend: Backend, files: ModelFiles, description: ModelDescription, *, home: Path
) -> SentenceEncoder:
    if not find_spec(PACKAGES[backend]):
        raise NotConverted(f"it is not installed; run `pip install 'twin_assets[{backend.value}]'`")
    folder = converted_folder(backend, files, home=home)
    facts = json.loads((folder / FACTS_FILE).read_text(encoding="utf-8"))
    tokenizer = (folder / TOKENIZER_FILE).read_text(encoding="utf-8")
    return SentenceEncoder(
        files.model,
        description,
        tokenizer=ModelTokenizer(tokenizer, max_tokens=files.max_tokens, prompt=files.prompt),
        padding_id=facts["padding_id"],
        network=open_network(backend, folder),
    )


def _with_torch(files: ModelFiles, description: ModelDescription) -> SentenceEncoder:
    from twin_assets.processing.networks.instructor_network import InstructorNetwork  # noqa: PLC0415 - torch
    from twin_assets.processing.networks.torch_network import TorchNetwork  # noqa: PLC0415 - the same

    kind = InstructorNetwork if files.prompt else TorchNetwork
    network = kind(files.model, files.folder, max_tokens=files.max_tokens, prompt=files.prompt)
    tokenizer = ModelTokenizer(network.tokenizer_json, max_tokens=files.max_tokens, prompt=files.prompt)
    if network.on_cuda and not network.try_half_precision(
        fixed_rows(tokenizer, padding_id=network.padding_id)
    ):
        log.warning("%s keeps single precision: half of it gives other vectors", files.model)
    return SentenceEncoder(
        files.model, description, tokenizer=tokenizer, padding_id=network.padding_id, network=network
    )
