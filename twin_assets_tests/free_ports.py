"""Ports for the servers that tests start, so that none is taken between its choice and its use."""

from __future__ import annotations

import atexit
import fcntl
import itertools
import tempfile
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import TextIO

from twin_assets.stack.ports import is_free

# Below the range from which systems give ports to outgoing connections: any of those could take a port in
# the seconds that a server needs until it listens.
FIRST, LAST, BLOCK = 20_000, 32_000, 200


def free_port() -> int:
    """Return a port at which nobody listens, of a block that this test process alone draws from."""
    _, ports = _own_block()
    for port in itertools.islice(ports, BLOCK):
        if is_free(port):
            return port
    raise RuntimeError(f"all {BLOCK} ports of this process are in use: a test leaves servers running")


@cache
def _own_block() -> tuple[TextIO, Iterator[int]]:
    folder = Path(tempfile.gettempdir()) / "twin-assets-test-ports"
    folder.mkdir(exist_ok=True)
    for first in range(FIRST, LAST, BLOCK):
        lock = (folder / f"{first}.lock").open("w")
        try:
            # Released when the process ends, however it ends.
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.close()
            continue
        atexit.register(lock.close)
        return lock, itertools.cycle(range(first, first + BLOCK))
    raise RuntimeError(f"every block of ports is held by another test process: see {folder}")
