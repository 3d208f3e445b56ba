"""The local stack: MongoDB, RabbitMQ, Qdrant and, where asked for, Dagster as child processes on loopback.

A server that a TWIN_*_URL names is used as it is, never started and never stopped.
"""

from __future__ import annotations

import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from twin_assets.errors import StackError
from twin_assets.settings import Settings, without_credentials
from twin_assets.stack.dagster import PROJECT
from twin_assets.stack.lock import FileLock
from twin_assets.stack.rabbitmq import EpmdServer
from twin_assets.stack.roster import Roster
from twin_assets.stack.server import Server

WATCH_S = 1.0
REVIVALS = 5
OTHERS_END_S = 120.0


@dataclass(frozen=True)
class ServerStatus:
    """One server as the stack sees it; `url` and `pid` only where it is ours and runs."""

    name: str
    is_local: bool
    url: str | None = None
    pid: int | None = None
    is_ready: bool = False


def _say_nothing(line: str) -> None:
    """Take a line of progress that nobody wants to see."""


class LocalStack:
    """Starts, adopts, watches and stops the servers of one state directory; `report` gets lines to show."""

    def __init__(
        self, settings: Settings, *, report: Callable[[str], None] = _say_nothing, project: Path = PROJECT
    ) -> None:
        self._state = settings.state_dir.absolute()
        self._report = report
        self._roster = Roster(settings, self._state, project=project)
        run = self._state / "run"
        self._busy = FileLock(run / "stack.lock", activity=f"another start or stop works on {self._state}")
        self._session = FileLock(run / "dev.lock", activity=f"another `twin dev` runs on {self._state}")

    def up(self) -> list[ServerStatus]:
        """Start the servers that do not run, and return once all answer. Raises StackError."""
        with self._busy:
            self._start(*self._roster.stages)
        return self.status()

    def dev(self) -> list[ServerStatus]:
        """Start the servers and Dagster, for this process to hold. Raises StackError."""
        self._session.acquire()
        with self._busy:
            self._start(*self._roster.stages, [self._roster.dagster])
        return self.status()

    def hold(self) -> None:
        """Wait for Ctrl-C or SIGTERM, bringing back what dies meanwhile, then stop everything.

        Returns, too, once someone else has stopped the stack. Raises StackError where a server keeps dying.
        """
        revivals: Counter[str] = Counter()
        try:
            with _stop_signals() as stop:
                while not stop.wait(WATCH_S) and not self._was_stopped():
                    self._revive(revivals)
                    self._revive_code()
                    self._trim_logs()
        finally:
            self.down()

    def down(self) -> None:
        """Stop everything that this state directory has started: Dagster first, then the servers."""
        self._busy.acquire(patience_s=OTHERS_END_S)
        with self._busy:
            self._stop(self._roster.everything)
            self._roster.forget()
        self._session.release()

    def status(self) -> list[ServerStatus]:
        """Ask every server of ours whether it is ready; those named by URL are listed as not local."""
        servers = [*self._roster.servers.values(), self._roster.dagster]
        return [self._status_of(server) for server in servers if not isinstance(server, EpmdServer)]

    def dagster_environment(self) -> dict[str, str]:
        """Return the environment in which any Dagster command sees this stack's instance."""
        return self._roster.dagster.environment()

    def _start(self, *stages: Sequence[Server]) -> None:
        self._state.mkdir(parents=True, exist_ok=True, mode=0o700)
        new = self._startable([server for stage in stages for server in stage])
        try:
            for stage in stages:
                began = time.monotonic()
                self._launch([server for server in stage if server in new])
                self._await(stage, new=new, began=began)
                self._roster.record()
        except BaseException:
            self._stop(new[::-1])
            raise

    def _startable(self, servers: Sequence[Server]) -> list[Server]:
        """Return those that do not run yet; nothing is started where something stands in any one's way."""
        for server in servers:
            self._roster.require_known_port(server)
        new = [server for server in servers if server.process.find() is None]
        for server in new:
            server.check()
        return new

    def _launch(self, servers: Sequence[Server]) -> None:
        for server in servers:
            self._report(f"{server.name}: starting")
            server.start()

    def _await(self, servers: Sequence[Server], *, new: Sequence[Server], began: float) -> None:
        for server in servers:
            try:
                server.await_ready()
            except StackError:
                if server in new or not server.process.has_died():
                    raise
                self._launch([server])  # it was found in its last moments
                server.await_ready()
            place, seconds = without_credentials(server.url), time.monotonic() - began
            self._report(f"{server.name}: ready at {place} ({seconds:.1f} s)")

    def _stop(self, servers: Sequence[Server]) -> None:
        for server in servers:
            if server.process.pid_file.exists():
                self._report(f"{server.name}: stopping")
                server.stop()

    def _revive(self, revivals: Counter[str]) -> None:
        if not self._dead():
            return
        try:
            self._busy.acquire()
        except StackError:
            return  # whoever is at work may be the one who stops it
        with self._busy:
            for server in self._dead():
                revivals[server.name] += 1
                if revivals[server.name] > REVIVALS:
                    raise StackError(f"{server.name} ended {REVIVALS} times: {server.log_hint()}")
                self._report(f"{server.name}: ended, starting it again")
                self._start([server])

    def _revive_code(self) -> None:
        with suppress(StackError):  # a busy webserver is asked again in a moment
            if self._roster.dagster.revive_code():
                self._report("dagster: the process that served the definitions ended, starting another")

    def _trim_logs(self) -> None:
        for server in self._held():
            server.process.trim_log()

    def _dead(self) -> list[Server]:
        return [server for server in self._held() if server.process.has_died()]

    def _was_stopped(self) -> bool:
        return not any(server.process.pid_file.exists() for server in self._held())

    def _held(self) -> list[Server]:
        return [*self._roster.own, self._roster.dagster]

    def _status_of(self, server: Server) -> ServerStatus:
        if server.name in self._roster.foreign:
            return ServerStatus(server.name, is_local=False)
        process = server.process.find()
        if process is None:
            return ServerStatus(server.name, is_local=True)
        return ServerStatus(
            server.name, is_local=True, url=server.url, pid=process.pid, is_ready=server.is_ready()
        )


@contextmanager
def _stop_signals() -> Iterator[threading.Event]:
    """Give an event that Ctrl-C, SIGTERM and a closed terminal set; off the main thread nothing sets it."""
    stop = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = {number: signal.signal(number, lambda *_: stop.set()) for number in numbers}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
