"""A file system small enough to be filled."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

MIB = 1024 * 1024
BLOCK = 4096


@contextmanager
def small_disk(folder: Path, size_mib: int) -> Iterator[None]:
    """Mount one over a folder; skips where the tests may not."""
    if os.geteuid() != 0:
        pytest.skip("only root may mount a small file system")
    folder.mkdir(parents=True)
    command = ["mount", "-t", "tmpfs", "-o", f"size={size_mib}m", "twin-small-disk", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"a small file system cannot be mounted here: {done.stderr.strip()}")
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def fill(folder: Path, *, but_mib: int = 0) -> Path:
    """Take all space but a rest, and return the file that takes it."""
    filler, space = folder / "filler", os.statvfs(folder)
    taken = space.f_bavail * space.f_frsize - but_mib * MIB
    # One block too many where all is to be taken: whatever the server gave back meanwhile counts too.
    with filler.open("wb", buffering=0) as file, suppress(OSError):
        for _ in range(taken // BLOCK + (but_mib == 0)):
            file.write(bytes(BLOCK))
    return filler
