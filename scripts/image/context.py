"""What the build may see of the repository: what .dockerignore lets through."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path

from docker.utils.build import PatternMatcher  # type: ignore[import-untyped]  # it has no types

from scripts.image.errors import ImageError


class Context:
    """The files of one folder, less those that its .dockerignore keeps out."""

    def __init__(self, root: Path) -> None:
        self.root = root
        lines = (root / ".dockerignore").read_text(encoding="utf-8").splitlines()
        self._matcher = PatternMatcher([line for line in lines if line and not line.startswith("#")])

    def files(self, source: str) -> list[Path]:
        """List the files under a source of COPY. Raises ImageError where there is none."""
        top = self.root / source
        inside = sorted(top.rglob("*")) if top.is_dir() else [top]
        found = [path for path in inside if path.is_file() and not self._is_ignored(path)]
        if not found:
            raise ImageError(f"COPY {source}: no such file, or .dockerignore keeps it out")
        return found

    def digest(self, source: str) -> str:
        """Names, modes and contents; times do not count, as with Docker."""
        found = hashlib.sha256()
        for path in self.files(source):
            mode = path.stat().st_mode & 0o777
            found.update(f"{path.relative_to(self.root)}\0{mode:o}\0".encode())
            found.update(hashlib.sha256(path.read_bytes()).digest())
        return found.hexdigest()

    def stage(self, source: str, folder: Path) -> Path:
        """Copy what is visible under `source` into a folder, and return where it lies there."""
        for path in self.files(source):
            copy = folder / path.relative_to(self.root)
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(path, copy, follow_symlinks=False)
        return folder / source

    def _is_ignored(self, path: Path) -> bool:
        return bool(self._matcher.matches(str(path.relative_to(self.root))))
