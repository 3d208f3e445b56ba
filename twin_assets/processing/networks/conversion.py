"""Converts a model for another library, and proves it; run with `python -m`, see `converted.py`.

A program of its own, since it needs torch and several times the memory that the converted model will need.
It writes a folder under another name and moves it when it is complete; where the model cannot be converted,
or its vectors are not torch's, the folder holds nothing but the reason.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import tempfile
import warnings
from importlib import import_module
from pathlib import Path
from typing import Any

from twin_assets.processing.encoder_options import Backend
from twin_assets.processing.networks.exactness import FIXED_TEXTS, LEAST_COSINES, least_cosine
from twin_assets.processing.networks.network import Network, TokenRows, token_rows
from twin_assets.processing.packing import pack
from twin_assets.processing.tokens import ModelTokenizer

FACTS_FILE = "encoder.json"
TOKENIZER_FILE = "tokenizer.json"
NETWORKS = {
    Backend.OPENVINO: ("twin_assets.processing.networks.openvino_network", "OpenVinoNetwork"),
    Backend.ONNX: ("twin_assets.processing.networks.onnx_network", "OnnxNetwork"),
}


def open_network(backend: Backend, folder: Path) -> Network:
    """Return the network of a converted folder."""
    module, name = NETWORKS[backend]
    network: Network = getattr(import_module(module), name)(folder)
    return network


def fixed_rows(tokenizer: ModelTokenizer, *, padding_id: int, budget: int = 1024) -> list[TokenRows]:
    """Return the fixed texts as the packs that a network is judged by, padded more than usual."""
    ids = tokenizer.ids(FIXED_TEXTS)
    packs = pack([len(text) for text in ids], budget=budget, max_padding=0.5)
    return [token_rows([ids[index] for index in each], padding_id=padding_id) for each in packs]


def main() -> None:
    """Convert what the arguments say into a folder. Raises OSError where it cannot be written."""
    arguments = _arguments()
    warnings.simplefilter("ignore")
    into: Path = arguments.into
    into.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".converting-", dir=into.parent) as folder:
        made = Path(folder) / "model"
        made.mkdir()
        try:
            facts = _convert(arguments, made)
        except OSError:
            raise  # a full disk says nothing of the model, and may be mended
        except Exception as error:  # noqa: BLE001 - the edge of a process, and converters raise anything
            facts = {"refused": f"{type(error).__name__}: {error}".splitlines()[0]}
        if "refused" in facts:
            shutil.rmtree(made)
            made.mkdir()
        (made / FACTS_FILE).write_text(json.dumps(facts), encoding="utf-8")
        _reach_the_disk(made)
        made.rename(into)


def _convert(arguments: argparse.Namespace, folder: Path) -> dict[str, Any]:
    from twin_assets.processing.networks.instructor_network import InstructorNetwork  # noqa: PLC0415 - torch
    from twin_assets.processing.networks.torch_network import TorchNetwork  # noqa: PLC0415 - the same

    kind = InstructorNetwork if arguments.prompt else TorchNetwork
    reference = kind(
        arguments.model,
        arguments.folder,
        max_tokens=arguments.max_tokens,
        prompt=arguments.prompt,
        device="cpu",
    )
    module = import_module(NETWORKS[arguments.backend][0])
    module.convert(reference, folder)
    if arguments.precision == "int8":
        module.quantize(folder)
    (folder / TOKENIZER_FILE).write_text(reference.tokenizer_json, encoding="utf-8")
    tokenizer = ModelTokenizer(
        reference.tokenizer_json, max_tokens=arguments.max_tokens, prompt=arguments.prompt
    )
    network = open_network(arguments.backend, folder)
    rows = fixed_rows(tokenizer, padding_id=reference.padding_id, budget=network.budget)
    cosine = least_cosine(network.run(rows), reference.run(rows))
    if cosine <= LEAST_COSINES[arguments.precision]:
        return {"refused": f"its vectors are not torch's: a cosine of {cosine:.5f}"}
    return {"padding_id": reference.padding_id, "least_cosine": cosine}


def _reach_the_disk(folder: Path) -> None:
    """Wait until the files are stored: no crash of the machine leaves the name without its contents."""
    for path in folder.rglob("*"):
        if path.is_file():
            with path.open("rb") as file:
                os.fsync(file.fileno())


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="conversion", description=__doc__)
    parser.add_argument("--backend", type=Backend, choices=list(NETWORKS), required=True)
    parser.add_argument("--model", required=True)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--max-tokens", type=int, required=True)
    parser.add_argument("--prompt")
    parser.add_argument("--precision", choices=list(LEAST_COSINES), default="float32")
    parser.add_argument("--into", type=Path, required=True)
    return parser.parse_args()


if __name__ == "__main__":
    main()
