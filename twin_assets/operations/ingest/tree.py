"""Walks a folder in a fixed order and tells which files are a person's own text, by name, size and kind."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path

from twin_assets.operations.ingest.ignore_rules import IgnoreRules, rules_around
from twin_assets.operations.ingest.report import Refused, Skipped

# fmt: off
VENDORED = frozenset(
    {
        ".bzr", ".direnv", ".eggs", ".git", ".gradle", ".hg", ".hypothesis", ".idea",
        ".import_linter_cache", ".ipynb_checkpoints", ".mypy_cache", ".next", ".nox", ".nuxt",
        ".parcel-cache", ".pytest_cache", ".ruff_cache", ".svn", ".terraform", ".tox", ".venv",
        ".vscode", "__pycache__", "__pypackages__", "bower_components", "build", "dist", "env",
        "htmlcov", "node_modules", "site-packages", "target", "third-party", "third_party",
        "vendor", "venv",
    }
)
# fmt: on
SECRETS = (
    ".env",
    ".env.*",
    ".netrc",
    ".npmrc",
    ".pgpass",
    ".pypirc",
    "id_*sa",
    "id_ed25519",
    "*.key",
    "*.pem",
)
HARMLESS = ("*.example", "*.sample", "*.template", "*.dist")
GENERATED = (
    "*.lock",
    "*.min.css",
    "*.min.js",
    "*.map",
    "go.sum",
    "npm-shrinkwrap.json",
    "package-lock.json",
    "pnpm-lock.yaml",
)


@dataclass(frozen=True)
class TreeFile:
    """A regular file below a root: `name` is its path from there, with `/`; `size` is in bytes."""

    path: Path
    name: str
    size: int


def walk(root: Path, *, max_file_bytes: int) -> Iterator[TreeFile | Skipped | Refused]:
    """Yield the files below `root` (absolute), a folder's own before its folders', and what was left out.

    A folder that is left out counts once.
    Links to folders are not followed, so there are no loops; links to files are, where they stay inside.
    """
    tree = _Walk(root, max_file_bytes)
    pending = [(root, rules_around(root))]
    while pending:
        folder, outer = pending.pop()
        rules = outer.inside(folder)
        folders = []
        for path, is_folder in tree.entries(folder):
            if isinstance(path, Refused):
                yield path
            elif not is_folder:
                yield tree.file(path, rules)
            elif reason := _unwanted_folder(path, rules):
                yield Skipped(reason, f"{tree.name(path)}/")
            else:
                folders.append((path, rules))
        pending += reversed(folders)


class _Walk:
    def __init__(self, root: Path, max_file_bytes: int) -> None:
        self._root = root
        self._real_root = root.resolve()
        self._max_file_bytes = max_file_bytes

    def entries(self, folder: Path) -> list[tuple[Path | Refused, bool]]:
        """Return (path, is it a folder) by name; a link is none."""
        try:
            with os.scandir(folder) as found:
                kinds = {entry.name: entry.is_dir(follow_symlinks=False) for entry in found}
        except OSError as error:
            return [(Refused(str(folder), f"the folder cannot be read ({error.strerror})"), False)]
        return [(folder / name, kinds[name]) for name in sorted(kinds)]

    def name(self, path: Path) -> str:
        return path.relative_to(self._root).as_posix()

    def file(self, path: Path, rules: IgnoreRules) -> TreeFile | Skipped | Refused:
        name = self.name(path)
        try:
            if path.is_symlink() and (reason := self._unwanted_link(path)):
                return Skipped(reason, name)
            status = path.stat()
        except (OSError, RuntimeError) as error:
            return Skipped("unreadable", f"{name} ({getattr(error, 'strerror', None) or error})")
        if not stat.S_ISREG(status.st_mode) or path.name == ".git":
            return Skipped("no regular file", name)
        if reason := self._unwanted_file(path, status.st_size, rules):
            return Skipped(reason, name)
        return TreeFile(path, name, status.st_size)

    def _unwanted_link(self, link: Path) -> str | None:
        target = link.resolve()
        if not target.is_relative_to(self._real_root):
            return "link that leads outside"
        if not target.exists():
            return "broken link"
        if target.is_dir():
            return "link to a folder"
        return None

    def _unwanted_file(self, path: Path, size: int, rules: IgnoreRules) -> str | None:
        if rules.ignore(path, is_folder=False):
            return "ignored by .gitignore"
        if _matches(path.name, SECRETS) and not _matches(path.name, HARMLESS):
            return "may hold a secret"
        if _matches(path.name, GENERATED):
            return "generated"
        if size == 0:
            return "empty"
        if size > self._max_file_bytes:
            return f"larger than {size_text(self._max_file_bytes)}"
        return None


def is_there(path: Path) -> bool:
    """Say whether a path exists; one that cannot be looked at does."""
    try:
        return path.exists()
    except OSError:
        return True


def size_text(size: int) -> str:
    """Return a size for people, such as `1 MB`."""
    return f"{size / 1024 / 1024:.3g} MB" if size >= 1024 * 1024 else f"{size / 1024:.3g} KB"


def _unwanted_folder(path: Path, rules: IgnoreRules) -> str | None:
    if path.name in VENDORED or path.name.endswith(".egg-info"):
        return "vendored, generated or a tool's own folder"
    return "ignored by .gitignore" if rules.ignore(path, is_folder=True) else None


def _matches(name: str, patterns: tuple[str, ...]) -> bool:
    return any(fnmatch(name, pattern) for pattern in patterns)
