"""Measures the whole system on this machine: `make bench`, or `python -m benchmarks --documents 40`.

First on servers and a Dagster of its own, then what needs servers to itself: each part can be run alone, as
`python -m benchmarks.<part>`. The figures that compare are ratios within one part. Prints one table and keeps
benchmarks/results/<time>.json.
"""

from __future__ import annotations

import argparse
import os
import tempfile
from pathlib import Path

from benchmarks.latency import measure_latency
from benchmarks.readiness import measure_memory, measure_readiness
from benchmarks.report import Figures, keep, measure_apart, show
from benchmarks.startup import measure_startup
from benchmarks.throughput import measure_throughput
from benchmarks.world import running_world

# Small enough for all of it to take less than twenty minutes on two cores.
PARTS = {
    "work": ("--sizes", "5", "20", "80"),
    "peers": ("--sizes", "5", "20"),
    "capture": ("--changes", "10000"),
    "audit": ("--sizes", "1000", "10000"),
    "rebuilds": ("--sizes", "1000"),
    "precision": ("--documents", "20"),
    "distance": ("--documents", "200", "--ms", "50"),
    "transport": ("--chunks", "2000"),
}


def main() -> None:
    arguments = _arguments()
    # Whatever the shell says of a running twin must not reach this one.
    for name in [name for name in os.environ if name.startswith("TWIN_")]:
        del os.environ[name]
    figures: Figures = {}
    with tempfile.TemporaryDirectory(prefix="twin-bench-") as folder, running_world(Path(folder)) as world:
        print("readiness: a stream is ended, the sensor starts the next", flush=True)
        figures |= measure_readiness(world)
        print("start-up: the command line", flush=True)
        figures |= measure_startup()
        print("throughput: encoder alone, stream, encoder, rebuild, encoder", flush=True)
        figures |= measure_throughput(world, documents=arguments.documents)
        print("latency: single documents on an idle stream, and beside rebuilds", flush=True)
        figures |= measure_latency(world, changes=arguments.changes)
        figures |= measure_memory(world)
    for part, options in PARTS.items():
        print(f"{part}: python -m benchmarks.{part} {' '.join(options)}", flush=True)
        figures |= {f"{part}_{name}": value for name, value in measure_apart(part, options).items()}
    show(figures)
    print(f"kept in {keep(figures)}")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--documents", type=int, default=60, help="articles for the throughput part")
    parser.add_argument("--changes", type=int, default=100, help="single documents for the latency part")
    return parser.parse_args()


if __name__ == "__main__":
    main()
