"""What a build borrows of this machine while it lasts: its way to package indexes; nothing of it stays."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

from scripts.image.mounts import Bind

BORROWED = re.compile(
    r"PIP_\w+|UV_\w+|\w*CERT(_FILE|_DIR|S)?|\w+_CA_\w+|(HTTPS?|NO|ALL)_PROXY", re.IGNORECASE
)
ALWAYS = ["/etc/resolv.conf", "/etc/hosts", "/etc/ssl/certs"]


def borrowed_environment() -> dict[str, str]:
    """Return pip's and uv's settings, certificates and proxies of this process's environment."""
    return {name: value for name, value in os.environ.items() if BORROWED.fullmatch(name)}


def borrowed_files() -> list[Bind]:
    """Return pip's configuration and the folders that it names, such as find-links and file:// indexes."""
    files = [Bind(str(path), _as_root(path)) for path in _config_files()]
    folders = [Bind(str(path), str(path)) for path in _named_paths()]
    always = [Bind(path, path) for path in ALWAYS if Path(path).exists()]
    return _without_nested([*always, *files, *folders])


def _config_files() -> list[Path]:
    found = re.findall(r"^\s+(/.+), exists: True$", _pip("config", "debug"), flags=re.MULTILINE)
    return [Path(path) for path in found]


def _named_paths() -> list[Path]:
    found = []
    for line in _pip("config", "list").splitlines():
        for word in " ".join(shlex.split(line.partition("=")[2])).split():
            path = Path(word.removeprefix("file://"))
            if path.is_absolute() and path.exists():
                # The packages of an index lie beside its pages.
                found.append(path.parent if path.name == "simple" else path)
    return sorted(set(found))


def _pip(*arguments: str) -> str:
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def _as_root(path: Path) -> str:
    """Return where root finds a file of ours: in its own home."""
    return (
        str(Path("/root") / path.relative_to(Path.home())) if path.is_relative_to(Path.home()) else str(path)
    )


def _without_nested(binds: list[Bind]) -> list[Bind]:
    """Leave out what another bind shows already."""
    kept: list[Bind] = []
    for bind in binds:
        if not any(Path(bind.target).is_relative_to(other.target) for other in kept):
            kept.append(bind)
    return kept
