"""The files of an image's layers, without mounting them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from scripts.image.record import Image


def files_of(image: Image) -> Iterator[tuple[str, os.stat_result]]:
    """Yield every path of the image with its status; what an upper layer covers is yielded twice."""
    for layer in image.layer_paths:
        for folder, folders, files in os.walk(layer):
            for name in (*folders, *files):
                path = Path(folder) / name
                yield f"/{path.relative_to(layer)}", path.lstat()


def find(image: Image, path: str) -> Path | None:
    """Return where a path of the image lies on the host, in its topmost layer."""
    places = (Path(layer) / path.lstrip("/") for layer in image.layer_paths)
    return next((place for place in places if place.is_symlink() or place.exists()), None)
