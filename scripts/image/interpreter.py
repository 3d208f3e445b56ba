"""The base tree's Python: a copy of the one that runs this program, as /usr/local in the real base image."""

from __future__ import annotations

import platform
import shutil
import sys
from collections.abc import Iterable
from pathlib import Path

from scripts.image.errors import ImageError

WANTED = (3, 11)
VERSION = platform.python_version()
LIBRARY = f"python{WANTED[0]}.{WANTED[1]}"
# As in the official image: no tests, no editor, and what others have installed into it stays behind.
LEFT_OUT = shutil.ignore_patterns(
    *("__pycache__", "site-packages", "test", "tests", "idlelib", "turtledemo", "tkinter", "config-*"),
    *("_tkinter*", "ensurepip"),
)


def copy_interpreter(tree: Path) -> None:
    """Copy program and library to /usr/local. Raises ImageError for a Python that is part of the system."""
    prefix = Path(sys.base_prefix)
    require_own_prefix(prefix)
    local = tree / "usr/local"
    shutil.copytree(prefix / "lib" / LIBRARY, local / "lib" / LIBRARY, ignore=LEFT_OUT, symlinks=True)
    (local / "lib" / LIBRARY / "site-packages").mkdir()
    for path in (prefix / "lib").glob("libpython*.so*"):
        shutil.copy2(path, local / "lib", follow_symlinks=False)
    shutil.copy2(prefix / "bin" / LIBRARY, local / "bin" / LIBRARY)
    for name in ("python", "python3"):
        (local / "bin" / name).symlink_to(LIBRARY)
    _forget(prefix, (local / "lib" / LIBRARY).glob("_sysconfigdata*.py"))


def require_own_prefix(prefix: Path) -> None:
    """Raises ImageError where copying would mean to copy the system, or another version."""
    if sys.version_info[:2] != WANTED:
        raise ImageError(f"the image has Python 3.11, and this is {VERSION}: make .venv with Python 3.11")
    if prefix == Path("/usr"):
        raise ImageError(
            "the system's own Python cannot be copied: make .venv with one from pyenv or its like"
        )


def _forget(prefix: Path, files: Iterable[Path]) -> None:
    """Replace the folder that the interpreter was built for in what it knows of its own build."""
    for path in files:
        path.write_text(path.read_text().replace(str(prefix), "/usr/local"))
