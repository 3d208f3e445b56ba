"""Layers on disk, one folder each, known by the hash of what made them."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from scripts.image.mounts import Overlay

FORMAT = "1"  # another one builds every layer anew


@dataclass(frozen=True)
class Layer:
    """`folder` holds `diff`, the layer's files, and `layer.json`."""

    folder: Path

    @property
    def key(self) -> str:
        return self.folder.name

    @property
    def files(self) -> Path:
        return self.folder / "diff"

    @property
    def bytes(self) -> int:
        """What its files hold, uncompressed; counted once, then remembered."""
        return self._remembered("bytes", _bytes_under)

    def measure(self) -> int:
        """Return its size by `gzip -1`, about what is pulled; takes half a minute for a gigabyte."""
        return self._remembered("compressed_bytes", _compressed)

    @property
    def compressed_bytes(self) -> int | None:
        """What `measure` has found; None before."""
        found: int | None = json.loads(self._about.read_text()).get("compressed_bytes")
        return found

    def _remembered(self, name: str, count: Callable[[Path], int]) -> int:
        known: dict[str, int] = json.loads(self._about.read_text())
        if name not in known:
            known[name] = count(self.files)
            self._about.write_text(json.dumps(known, indent=1))
        return known[name]

    @property
    def seconds(self) -> float:
        return float(json.loads(self._about.read_text())["seconds"])

    @property
    def _about(self) -> Path:
        return self.folder / "layer.json"


class LayerStore:
    """All layers of a build."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder.absolute()
        self.folder.mkdir(parents=True, exist_ok=True)
        self._used: set[str] = set()

    def obtain(
        self, made_of: Sequence[str], below: Sequence[Layer], make: Callable[[Overlay], None]
    ) -> Layer:
        """Return the layer that is made of these things upon those layers; make it where it is missing."""
        key = _key([*made_of, *(layer.key for layer in below)])
        layer = Layer(self.folder / key)
        if not layer.folder.exists():
            self._make(layer, overlay_upon(below, self.folder / f"{key}.partial"), made_of, make)
        self._used.add(key)
        return layer

    def forget_unused(self) -> None:
        """Delete what no step of this build has used."""
        for folder in self.folder.iterdir():
            if folder.name not in self._used:
                shutil.rmtree(folder)

    def _make(
        self, layer: Layer, overlay: Overlay, made_of: Sequence[str], make: Callable[[Overlay], None]
    ) -> None:
        partial = Path(overlay.work).parent
        shutil.rmtree(partial, ignore_errors=True)
        Path(overlay.upper).mkdir(parents=True)
        started = time.monotonic()
        make(overlay)
        about = {"made_of": made_of[0], "seconds": round(time.monotonic() - started, 1)}
        (partial / "layer.json").write_text(json.dumps(about, indent=1))
        for rest in (Path(overlay.work), partial / "root"):
            shutil.rmtree(rest, ignore_errors=True)
        partial.rename(layer.folder)


def overlay_upon(below: Sequence[Layer], folder: Path) -> Overlay:
    """Return the mount whose changes go to `diff` in a folder."""
    return Overlay(paths_of(below), str(folder / "diff"), str(folder / "work"))


def paths_of(layers: Sequence[Layer]) -> list[str]:
    """Return where the layers lie, topmost first, as overlayfs wants them."""
    return [str(layer.files) for layer in reversed(layers)]


def _key(parts: Sequence[str]) -> str:
    return hashlib.sha256("\0".join([FORMAT, *parts]).encode()).hexdigest()[:16]


def _bytes_under(folder: Path) -> int:
    """Sum up the files; one with several names counts once."""
    found = {}
    for path in folder.rglob("*"):
        status = path.lstat()
        if path.is_file() and not path.is_symlink():
            found[status.st_ino] = status.st_size
    return sum(found.values())


def _compressed(folder: Path) -> int:
    pipe = 'tar --create --directory "$0" . | gzip -1 | wc --bytes'
    done = subprocess.run(["sh", "-c", pipe, str(folder)], capture_output=True, text=True, check=True)
    return int(done.stdout)
