"""Which library runs the models: what a person can choose."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from twin_assets.settings import ENCODER_DIR, Settings


class Backend(StrEnum):
    """The libraries that can run a model; `auto` takes the fastest that is installed and exact."""

    AUTO = "auto"
    TORCH = "torch"
    OPENVINO = "openvino"
    ONNX = "onnx"


@dataclass(frozen=True)
class EncoderOptions:
    """The library, and the folder in which converted models are kept."""

    backend: Backend = Backend.AUTO
    home: Path = ENCODER_DIR

    @classmethod
    def of(cls, settings: Settings) -> EncoderOptions:
        """Return what is set."""
        return cls(Backend(settings.encoder_backend), settings.encoder_dir)
