"""What a distant Qdrant costs a stream with a backlog: `python -m benchmarks.distance --documents 400`.

Each answer of Qdrant is held back for some milliseconds, as between regions, or on a machine with too much to
do. Each turn writes the same number of new posts, waits until all of them lie in the queues, starts a stream
and waits until everything is applied: once with rounds of about a second, and once with rounds that grow
while they leave a backlog, as they do. The embedding is next to nothing. Prints a table and keeps it.
"""

from __future__ import annotations

import argparse
import os
import socket
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.parse import urlsplit

from pydantic import SecretStr
from rich.console import Console
from rich.table import Table

from benchmarks.filled import POSTS, running_servers
from benchmarks.flows import Flows, running_flows
from benchmarks.report import Figures, keep
from benchmarks.world import wait_for
from twin_assets.operations.twin import Twin
from twin_assets.stack.ports import LOOPBACK
from twin_assets.stream import intake
from twin_assets.stream.replica import run_stream
from twin_assets_tests.loopback_proxy import LoopbackProxy
from twin_assets_tests.scenarios.processes import long_run

PACES = {"fixed": intake.ROUND_S, "growing": intake.LONGEST_ROUND_S}
WORDS = 40
MARKER_INTERVAL_S = "0.5"
BUFFER = 2**16


class DistantServer(LoopbackProxy):
    """Passes everything on, each part of an answer a little later."""

    def __init__(self, host: str | None, port: int | None, *, delay_s: float) -> None:
        super().__init__(host, port)
        self._delay_s = delay_s

    def pump_requests(self, client: socket.socket, server: socket.socket) -> None:
        """Pass on at once."""
        with suppress(OSError):
            while part := client.recv(BUFFER):
                server.sendall(part)

    def pump_replies(self, client: socket.socket, server: socket.socket) -> None:
        """Hold back, then pass on."""
        with suppress(OSError):
            while part := server.recv(BUFFER):
                time.sleep(self._delay_s)
                client.sendall(part)


def main() -> None:
    arguments = _arguments()
    for name in [name for name in os.environ if name.startswith("TWIN_")]:
        del os.environ[name]
    os.environ["TWIN_MARKER_INTERVAL_S"] = MARKER_INTERVAL_S
    figures: Figures = {"documents": arguments.documents}
    table = Table("Qdrant's answers take", *(f"{name}: documents/s" for name in PACES), "ratio")
    with (
        tempfile.TemporaryDirectory(prefix="twin-bench-") as folder,
        running_servers(Path(folder)) as twin,
        long_run(twin.settings, "capture"),
    ):
        for delay_ms in arguments.ms:
            rates = {
                name: _turn(twin, f"{delay_ms}-{name}", arguments.documents, delay_ms / 1000, longest_s)
                for name, longest_s in PACES.items()
            }
            gain = rates["growing"] / rates["fixed"]
            table.add_row(f"{delay_ms} ms", *(f"{rate:.1f}" for rate in rates.values()), f"{gain:.1f}")
            figures |= {f"{name}_{delay_ms}_ms_per_s": rate for name, rate in rates.items()}
            figures[f"gain_{delay_ms}_ms"] = gain
    Console().print(table)
    print(f"kept in {keep(figures)}")


def _turn(twin: Twin, name: str, documents: int, delay_s: float, longest_s: float) -> float:
    """Return how many documents a second a stream applies that finds all of them waiting."""
    collection = twin.source.client[twin.settings.mongodb_database][POSTS.value]
    collection.insert_many(_post(f"{name}-{number}") for number in range(documents))
    target = twin.source.now()
    wait_for(lambda: _is_published(twin, target), "all of it lies in the queues")
    started = time.perf_counter()
    with _streaming(twin, delay_s, longest_s) as flows:
        flows.wait_applied(twin, target)
        return documents / (time.perf_counter() - started)


def _is_published(twin: Twin, target: int) -> bool:
    position = twin.meta.load_position()
    return position is not None and position.revision >= target


@contextmanager
def _streaming(twin: Twin, delay_s: float, longest_s: float) -> Iterator[Flows]:
    """Run a stream whose Qdrant is far away and whose rounds may take so long."""
    intake.LONGEST_ROUND_S = longest_s
    address = urlsplit(twin.settings.require_url("qdrant_url"))
    with DistantServer(address.hostname, address.port, delay_s=delay_s) as distant:
        url = SecretStr(f"http://{LOOPBACK}:{distant.port}")
        settings = twin.settings.model_copy(update={"qdrant_url": url})
        with running_flows(settings, lambda own, stop: run_stream(own, stop=stop)) as flows:
            yield flows


def _post(name: str) -> dict:
    text = " ".join(f"{name}w{word}" for word in range(WORDS))
    return {"_id": name, "platform": "bench", "author_id": "bench", "content": {"text": text}}


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="benchmarks.distance", description=__doc__)
    parser.add_argument("--documents", type=int, default=400, help="per turn")
    parser.add_argument("--ms", type=int, nargs="+", default=[0, 50, 150])
    return parser.parse_args()


if __name__ == "__main__":
    main()
