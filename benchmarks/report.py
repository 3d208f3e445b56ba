"""Prints the figures and keeps them, with the machine and the versions beside them."""

from __future__ import annotations

import json
import platform
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import psutil
from rich.console import Console
from rich.table import Table

Figures = dict[str, float]

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
    "stream_to_encoder": "≥ 0.9",
    "rebuild_to_encoder": "≥ 0.9",
    "commit_to_searchable_p50_ms": "< 100",
    "commit_to_searchable_p95_ms": "< 250",
    "stream_peak_rss_mb": "< 900",
    **{
        f"beside_reusing_rebuild{pace}_p{share}_to_idle": "≤ 2"
        for pace in ("", "_1_per_s", "_10_per_s")
        for share in (50, 95)
    },
}


def show(figures: Figures) -> None:
    table = Table("figure", "value", "aim")
    for name, value in figures.items():
        table.add_row(name, f"{value:.2f}" if isinstance(value, float) else str(value), AIMS.get(name, ""))
    Console().print(table)


def keep(figures: Figures) -> Path:
    """Write one JSON file and return its path."""
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
    path = RESULTS / f"{now:%Y-%m-%dT%H%M%S}.json"
    path.write_text(json.dumps(record, indent=2) + "\n")
    return path
