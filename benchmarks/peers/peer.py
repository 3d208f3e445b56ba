"""The benchmark's side of a peer: a process of its own that is told what to do, and killed in the middle."""

from __future__ import annotations

import json
import os
import select
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

LIMIT_S = 900.0
END_S = 30
ROOT = Path(__file__).parents[2]


class PeerProcess:
    """One library over one collection. `load_s` is from its start until its model was loaded."""

    def __init__(
        self, python: str, name: str, *, url: str, collection: str, model: Path, folder: Path
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.name = name
        command = [
            *(python, "-m", f"benchmarks.peers.{name}_peer", "--url", url, "--collection", collection),
            *("--model", str(model), "--folder", str(folder)),
        ]
        # What the libraries would report of themselves, and fetch, has no place in a measurement.
        environment = os.environ | {"HF_HUB_OFFLINE": "1", "DO_NOT_TRACK": "1", "LANGSMITH_TRACING": "false"}
        started = time.perf_counter()
        self._process = subprocess.Popen(
            command, cwd=ROOT, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self.answer()
        self.load_s = time.perf_counter() - started

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.stdin.close()
        try:
            self._process.wait(END_S)
        except subprocess.TimeoutExpired:
            self.kill()
        self._process.stdout.close()

    def ask(self, what: str, documents: Sequence[dict[str, str]] = ()) -> dict[str, Any]:
        """Have it act, and return its answer."""
        self.tell(what, documents)
        return self.answer()

    def tell(self, what: str, documents: Sequence[dict[str, str]] = ()) -> None:
        """Have it act."""
        self._process.stdin.write(json.dumps({"do": what, "documents": list(documents)}) + "\n")
        self._process.stdin.flush()

    def answer(self) -> dict[str, Any]:
        """Return its next answer. Raises TimeoutError, and RuntimeError when it has ended."""
        if not select.select([self._process.stdout], [], [], LIMIT_S)[0]:
            raise TimeoutError(f"{self.name} has not answered for {LIMIT_S:.0f} s")
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"{self.name} ended with exit code {self._process.wait(END_S)}")
        return json.loads(line)

    def kill(self) -> None:
        """End it as a power cut would."""
        self._process.kill()
        self._process.wait(END_S)
