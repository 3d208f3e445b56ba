"""How long the command line takes to answer: the fastest of a few tries, as a start only gets slower."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Sequence

from benchmarks.report import Figures

TRIES = 5


def measure_startup() -> Figures:
    """Time `twin --help`, and `twin status` on the running twin, beside an interpreter that does nothing."""
    return {
        "python_s": _fastest(["-c", "pass"]),
        "twin_help_s": _fastest(["-m", "twin_assets", "--help"]),
        "twin_status_s": _fastest(["-m", "twin_assets", "status"]),
    }


def _fastest(arguments: Sequence[str]) -> float:
    return min(_seconds([sys.executable, *arguments]) for _ in range(TRIES))


def _seconds(command: Sequence[str]) -> float:
    started = time.perf_counter()
    subprocess.run(command, stdout=subprocess.DEVNULL, check=True)
    return time.perf_counter() - started
