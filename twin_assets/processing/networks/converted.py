"""Finds a model's converted form, or has it made: once per machine, model, prompt and library version."""

from __future__ import annotations

import fcntl
import json
import logging
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import blake2b
from importlib.metadata import version
from pathlib import Path
from typing import Any

from twin_assets.models.recipe import Precision
from twin_assets.processing.encoder_options import Backend
from twin_assets.processing.networks.conversion import FACTS_FILE

# Raised whenever the same files would be converted in another way.
CONVERSION = 2
LIMIT_S = 1800.0
PACKAGES = {Backend.OPENVINO: "openvino", Backend.ONNX: "onnxruntime"}

_MODEL_SUFFIXES = frozenset({".json", ".safetensors", ".bin", ".txt", ".model"})
_LARGE_BYTES = 256 * 2**20

log = logging.getLogger(__name__)


class NotConverted(Exception):
    """There is no converted form of this model, and none can be made; says why."""


@dataclass(frozen=True)
class ModelFiles:
    """What decides a conversion: name, folder, tokens per text, the prompt before each, and the precision."""

    model: str
    folder: Path
    max_tokens: int
    prompt: str | None = None
    precision: Precision = "float32"

    def weight_bytes(self) -> int:
        """Return the size of the weights, in whichever of their formats is the larger."""
        formats = ("*.safetensors", "*.bin")
        return max(sum(path.stat().st_size for path in self.folder.rglob(each)) for each in formats)

    def digest(self) -> str:
        """Return a hash of all that a conversion reads; of large files, of their size and time."""
        digest = blake2b(json.dumps([self.max_tokens, self.prompt]).encode(), digest_size=12)
        for path in sorted(self.folder.rglob("*")):
            if path.suffix in _MODEL_SUFFIXES and path.is_file():
                facts = path.stat()
                digest.update(f"{path.relative_to(self.folder)} {facts.st_size} ".encode())
                large = facts.st_size > _LARGE_BYTES
                digest.update(str(facts.st_mtime_ns).encode() if large else path.read_bytes())
        return digest.hexdigest()


def converted_folder(backend: Backend, files: ModelFiles, *, home: Path) -> Path:
    """Return the complete folder under `home`. Raises NotConverted."""
    kind = backend.value if files.precision == "float32" else f"{backend.value}-{files.precision}"
    name = f"{kind}-{version(PACKAGES[backend])}-{CONVERSION}-{files.digest()}"
    folder = home / name
    try:
        if not folder.is_dir():
            home.mkdir(parents=True, exist_ok=True)
            with _only_one(home / f".{name}.lock"):
                if not folder.is_dir():
                    _convert(backend, files, into=folder)
    except OSError as error:
        raise NotConverted(f"{home} cannot be written: {error.strerror}") from error
    refused = _facts(folder).get("refused")
    if refused:
        raise NotConverted(refused)
    return folder


def _facts(folder: Path) -> dict[str, Any]:
    """Return what the conversion wrote of itself. Raises NotConverted where that cannot be read."""
    try:
        facts: dict[str, Any] = json.loads((folder / FACTS_FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise NotConverted(f"{folder} is damaged; delete it, and it is made anew") from error
    return facts


def _convert(backend: Backend, files: ModelFiles, *, into: Path) -> None:
    log.info("converting %s for %s, once; it takes half a minute or more", files.model, backend.value)
    prompt = [] if files.prompt is None else ["--prompt", files.prompt]
    precision = ["--precision", files.precision]
    command = [
        *(sys.executable, "-m", "twin_assets.processing.networks.conversion"),
        *("--backend", backend.value, "--model", files.model, "--folder", str(files.folder)),
        *("--max-tokens", str(files.max_tokens), *prompt, *precision, "--into", str(into)),
    ]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT_S, check=False)  # noqa: S603
    except subprocess.TimeoutExpired as error:
        raise NotConverted(f"the conversion took more than {LIMIT_S / 60:.0f} minutes") from error
    if done.returncode:
        last = (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1]
        raise NotConverted(f"the conversion failed: {last}")


@contextmanager
def _only_one(path: Path) -> Iterator[None]:
    """Hold a lock file, so that of several replicas that start at once one converts. Raises NotConverted."""
    deadline = time.monotonic() + LIMIT_S
    with path.open("w") as lock:
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise NotConverted(
                        f"another process has been converting it for {LIMIT_S / 60:.0f} minutes"
                    ) from None
                time.sleep(0.2)
            else:
                yield
                return
