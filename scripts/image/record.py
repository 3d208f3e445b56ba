"""image.json: what a container engine reads of an image, and where its layers lie."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from scripts.image.layers import Layer


@dataclass(frozen=True)
class LayerRecord:
    """One layer, lowest first in the list. `compressed_bytes` come by measuring, `seconds` from making it."""

    key: str
    made_by: str
    bytes: int
    compressed_bytes: int | None
    seconds: float


@dataclass(frozen=True)
class HealthCheck:
    command: list[str]
    options: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Image:
    folder: Path
    environment: dict[str, str]
    user: str
    workdir: str
    command: list[str]
    health: HealthCheck | None
    stop_signal: str
    ports: list[str]
    labels: dict[str, str]
    layers: list[LayerRecord]

    def save(self) -> None:
        found = asdict(self)
        del found["folder"]
        (self.folder / "image.json").write_text(json.dumps(found, indent=1) + "\n")

    @classmethod
    def load(cls, folder: Path) -> Image:
        """Raises FileNotFoundError where nothing was built."""
        found: dict[str, Any] = json.loads((folder / "image.json").read_text())
        found["layers"] = [LayerRecord(**each) for each in found["layers"]]
        found["health"] = found["health"] and HealthCheck(**found["health"])
        return cls(folder=folder.absolute(), **found)

    def measured(self) -> Image:
        """Return the image with every layer's compressed size."""
        layers = [
            replace(each, compressed_bytes=Layer(self.folder / "layers" / each.key).measure())
            for each in self.layers
        ]
        return replace(self, layers=layers)

    @property
    def layer_paths(self) -> list[str]:
        """Return where the layers' files lie, topmost first, as overlayfs wants them."""
        return [str(self.folder / "layers" / layer.key / "diff") for layer in reversed(self.layers)]
