"""Prints the figures and keeps them, with the machine and the versions beside them."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import psutil
from rich.console import Console
from rich.table import Table

Figures = dict[str, float]

KEPT_AT = "BENCHMARK_KEPT_AT"
PART_LIMIT_S = 1800
# Of a table that goes into a log, whatever the terminal.
WIDTH = 120
RESULTS = Path(__file__).parent / "results"
PACKAGES = (
    "twin_assets",
    "bytewax",
    "dagster",
    "qdrant-client",
    "sentence-transformers",
    "torch",
    "openvino",
)
AIMS = {
    "tick_to_ready_stream_s": "< 10",
    "twin_help_s": "< 0.3",
    "twin_status_s": "< 1.5",
    "stream_to_encoder": "≥ 0.95",
    "rebuild_to_encoder": "≥ 0.95",
    "commit_to_searchable_p50_ms": "< 100",
    "commit_to_searchable_p95_ms": "< 250",
    "stream_peak_rss_mb": "< 900",
    "capture_snapshot_ids_per_s": "≥ 2500",
    **{f"capture_live_changes_per_s_{number}": "≥ 2500" for number in range(1, 5)},
    **{f"work_cold_{size}_to_encoder": "≥ 0.95" for size in (5, 20, 80)},
    **{f"work_cold_{size}_encoder_busy": "≥ 0.95" for size in (5, 20, 80)},
    **{f"work_warm_{size}_embedded": "0" for size in (5, 20, 80)},
    "work_cold_to_naive": "≥ 5",
    **{
        f"beside_reusing_rebuild{pace}_p{share}_to_idle": "≤ 2"
        for pace in ("", "_1_per_s", "_10_per_s")
        for share in (50, 95)
    },
}


def show(figures: Figures) -> None:
    """Print one row each, with what it should be where there is such an aim."""
    table = Table("figure", "value", "aim")
    for name, value in figures.items():
        table.add_row(name, f"{value:.2f}" if isinstance(value, float) else str(value), AIMS.get(name, ""))
    Console(width=WIDTH).print(table)


def measure_apart(part: str, options: Sequence[str]) -> Figures:
    """Run one benchmark in a process of its own, and return the figures that it keeps."""
    with tempfile.TemporaryDirectory(prefix="twin-bench-") as folder:
        kept = Path(folder) / "figures.json"
        command = [sys.executable, "-m", f"benchmarks.{part}", *options]
        subprocess.run(command, env=os.environ | {KEPT_AT: str(kept)}, check=True, timeout=PART_LIMIT_S)
        figures: Figures = json.loads(kept.read_text())["figures"]
    return figures


def keep(figures: Figures) -> Path:
    """Write one JSON file and return its path: a new one, or the one that a larger benchmark asks for."""
    now = datetime.now(UTC)
    record = {
        "at": now.isoformat(timespec="seconds"),
        "machine": {
            "cores": psutil.cpu_count(),
            "memory_gb": round(psutil.virtual_memory().total / 2**30, 1),
            "python": platform.python_version(),
            "system": platform.platform(),
        },
        "versions": {package: version(package) for package in PACKAGES},
        "figures": figures,
    }
    RESULTS.mkdir(exist_ok=True)
    path = Path(os.environ.get(KEPT_AT) or RESULTS / f"{now:%Y-%m-%dT%H%M%S}.json")
    path.write_text(json.dumps(record, indent=2) + "\n")
    return path
