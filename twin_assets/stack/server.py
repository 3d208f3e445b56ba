"""What every server of the stack has: a launch, a protocol to be asked in, a start and a stop."""

from __future__ import annotations

import os
import time
from abc import ABC, abstractmethod
from pathlib import Path

from twin_assets.errors import StackError
from twin_assets.stack.ports import require_free
from twin_assets.stack.process import ChildProcess, Launch

POLL_S = 0.05


class Server(ABC):
    """One server process on loopback, without a password: whoever may log in on this machine may use it."""

    name: str
    ports: dict[str, int]
    epilogue: str | None = None  # how the line begins that a dying server writes after its reason
    start_timeout_s = 60.0
    stop_timeout_s = 30.0

    def __init__(self, state: Path, ports: dict[str, int]) -> None:
        self.ports = ports
        self.process = ChildProcess(self.name, state.absolute())

    @property
    def folder(self) -> Path:
        """Where the server keeps its data."""
        return self.process.folder

    @property
    @abstractmethod
    def url(self) -> str: ...

    @abstractmethod
    def is_ready(self) -> bool:
        """Ask the server in its own protocol."""

    @abstractmethod
    def launch(self) -> Launch:
        """Write the server's files and say how to run it. Raises StackError where the program is missing."""

    def start(self) -> None:
        """Spawn the server unless it runs already. Raises StackError for a port in use."""
        if self.process.find() is not None:
            return
        launch = self.check()
        self.process.start(launch)

    def check(self) -> Launch:
        """Return how to run it, once nothing stands in the way. Raises StackError that says what does."""
        if self.process.has_died():
            self.stop()
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        launch = self.launch()
        self._require_ports()
        return launch

    def await_ready(self) -> None:
        """Return once the server answers. Raises StackError where it ends or stays silent."""
        deadline = time.monotonic() + self.start_timeout_s
        while not self.is_ready():
            if self.process.has_died():
                self._require_ports()
                raise StackError(f"{self.name} ended while starting: {self.log_hint()}")
            if time.monotonic() > deadline:
                raise StackError(
                    f"{self.name} is not ready after {self.start_timeout_s:.0f} s: {self.log_hint()}"
                )
            time.sleep(POLL_S)

    def stop(self) -> None:
        """End the server; what it has acknowledged is on disk."""
        self.process.stop(timeout_s=self.stop_timeout_s)

    def log_hint(self) -> str:
        return f"{self.process.last_words(besides=self.epilogue)} (log: {self.process.log_file})"

    @property
    def port(self) -> int:
        return next(iter(self.ports.values()))

    def _require_ports(self) -> None:
        for setting, port in self.ports.items():
            require_free(port, purpose=self.name, setting=setting)


def plain_environment() -> dict[str, str]:
    """Return the little that a server needs of our environment; secrets and foreign settings stay here."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "TMPDIR", "USER") if name in os.environ}
    return kept | {"LANG": "C.UTF-8"}
