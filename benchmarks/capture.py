"""How fast capture takes changes from MongoDB into confirmed quorum queues: `python -m benchmarks.capture`.

The first snapshot, which publishes every id, and the live path behind the change stream, with nobody
streaming. A live rate counts from the first commit until the broker holds the last of the changes. Capture is
a process of its own, as in production, and its memory is its alone. Prints a table and keeps it.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from pathlib import Path

import psutil
from rich.console import Console
from rich.table import Table

from benchmarks.filled import POSTS, running_servers
from benchmarks.report import keep
from benchmarks.world import wait_for
from twin_assets.broker.depth import queue_depths
from twin_assets.operations.twin import Twin
from twin_assets_tests.scenarios.processes import long_run

PAGE = 1000
ROUNDS = 4


def main() -> None:
    arguments = _arguments()
    for name in [name for name in os.environ if name.startswith("TWIN_")]:
        del os.environ[name]
    figures: dict[str, float] = {"changes": arguments.changes}
    with tempfile.TemporaryDirectory(prefix="twin-bench-") as folder, running_servers(Path(folder)) as twin:
        _insert(twin, range(arguments.changes))
        started = time.perf_counter()
        with long_run(twin.settings, "capture") as capture:
            process = psutil.Process(capture.process.pid)
            wait_for(lambda: _ready(twin) > 0, "the first id is published", pause_s=0.01)
            first = time.perf_counter()
            _await_ready(twin, arguments.changes)
            figures["snapshot_ids_per_s"] = arguments.changes / (time.perf_counter() - first)
            figures["capture_start_s"] = first - started
            memory = [process.memory_info().rss / 2**20]
            rates = []
            for number in range(1, ROUNDS + 1):
                numbers = range(arguments.changes * number, arguments.changes * (number + 1))
                wanted, begun = _ready(twin) + len(numbers), time.perf_counter()
                _insert(twin, numbers)
                _await_ready(twin, wanted)
                rates.append(len(numbers) / (time.perf_counter() - begun))
                memory.append(process.memory_info().rss / 2**20)
        figures |= {f"live_changes_per_s_{number}": rate for number, rate in enumerate(rates, 1)}
        figures |= {f"capture_rss_mb_{number}": found for number, found in enumerate(memory)}
    table = Table("figure", "value")
    for name, value in figures.items():
        table.add_row(name, f"{value:,.1f}")
    Console().print(table)
    print(f"kept in {keep(figures)}")


def _insert(twin: Twin, numbers: range) -> None:
    collection = twin.source.client[twin.settings.mongodb_database][POSTS.value]
    for start in range(numbers.start, numbers.stop, PAGE):
        collection.insert_many(
            {"_id": number, "platform": "bench", "author_id": "bench", "content": {"text": f"post {number}"}}
            for number in range(start, min(start + PAGE, numbers.stop))
        )


def _await_ready(twin: Twin, wanted: int) -> None:
    wait_for(lambda: _ready(twin) >= wanted, "the changes are published", pause_s=0.02)


def _ready(twin: Twin) -> int:
    """Count what the queues hold. Markers are among it, some four a second: too few to matter."""
    return queue_depths(twin.settings.require_url("rabbitmq_url"), twin.settings.rabbitmq_queues).total


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="benchmarks.capture", description=__doc__)
    parser.add_argument("--changes", type=int, default=20_000, help="per round")
    return parser.parse_args()


if __name__ == "__main__":
    main()
