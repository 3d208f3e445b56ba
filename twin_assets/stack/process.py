"""Child processes that outlive whoever started them: known by pid file, stopped by pid, never by name."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import psutil

# The shell writes its own pid before it becomes the program: there is no moment in which the program runs
# without a pid file, whenever the starter is killed. The rename lets nobody read half a file.
BECOME = 'echo $$ > "$0.new" && mv -f "$0.new" "$0" && cd "$1" && shift && exec "$@"'
MARK = "TWIN_STACK_PROCESS"
CLOCK_TOLERANCE_S = 2.0
ORPHANS_END_S = 5.0
POLL_S = 0.02
LOG_LIMIT_BYTES = 32 * 1024 * 1024


@dataclass(frozen=True)
class Launch:
    """What to run: a command, its whole environment, and where (its own folder by default)."""

    command: Sequence[str]
    environment: Mapping[str, str] = field(default_factory=dict)
    folder: Path | None = None


class ChildProcess:
    """One program of the stack; `state` holds its folder, its log and its pid file.

    It is a session of its own, so Ctrl-C in a terminal does not reach it, and takes SIGINT as by default.
    """

    def __init__(self, name: str, state: Path) -> None:
        self.name = name
        self.folder = state / name
        self.log_file = state / "logs" / f"{name}.log"
        self.pid_file = state / "run" / f"{name}.pid"

    def find(self) -> psutil.Process | None:
        """Return the running process, or None; a pid that meanwhile belongs to another is not ours."""
        try:
            process = psutil.Process(int(self.pid_file.read_text()))
            # A process that took over the pid of ours was created after the file was written.
            is_ours = process.create_time() <= self.pid_file.stat().st_mtime + CLOCK_TOLERANCE_S
            return process if is_ours and _is_alive(process) else None
        except (OSError, ValueError, psutil.Error):
            return None

    def has_died(self) -> bool:
        """Say whether it was started, not stopped, and runs no more."""
        return self.pid_file.exists() and self.find() is None

    def start(self, launch: Launch) -> None:
        """Spawn the program; the log of its last run is kept as `.log.1`."""
        for path in (self.folder, self.log_file.parent, self.pid_file.parent):
            path.mkdir(parents=True, exist_ok=True, mode=0o700)
        if self.log_file.exists():
            self.log_file.replace(self.log_file.with_suffix(".log.1"))
        folder = str(launch.folder or self.folder)
        pid = os.posix_spawn(
            "/bin/sh",
            ["sh", "-c", BECOME, str(self.pid_file), folder, *launch.command],
            {**launch.environment, MARK: self._mark},
            file_actions=[
                (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
                (os.POSIX_SPAWN_OPEN, 1, str(self.log_file), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600),
                (os.POSIX_SPAWN_DUP2, 1, 2),
            ],
            setsid=True,
            setsigmask=[],
            setsigdef=[signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGPIPE],
        )
        mine = self.pid_file.with_suffix(".mine")
        mine.write_text(f"{pid}\n")
        mine.replace(self.pid_file)

    def stop(self, *, first: signal.Signals = signal.SIGTERM, timeout_s: float = 30.0) -> None:
        """Ask the process to end, kill it where it does not, and clear away what it leaves behind."""
        process = self.find()
        if process is not None:
            _end([process], first, timeout_s)
        if self.pid_file.exists():
            _end(self._descendants(), signal.SIGTERM, ORPHANS_END_S)
        self.pid_file.unlink(missing_ok=True)

    def trim_log(self) -> None:
        """Move a log that has grown over its limit aside; the program goes on appending to an empty one."""
        if self.log_file.exists() and self.log_file.stat().st_size > LOG_LIMIT_BYTES:
            shutil.copyfile(self.log_file, self.log_file.with_suffix(".log.1"))
            os.truncate(self.log_file, 0)

    def last_words(self, *, besides: str | None = None) -> str:
        """Return the last line of the log that neither is empty nor begins with `besides`, for an error."""
        try:
            lines = self.log_file.read_text(errors="replace").splitlines()
        except OSError:
            return ""
        said = (line.strip()[:300] for line in reversed(lines) if line.strip())
        return next((line for line in said if besides is None or not line.startswith(besides)), "")

    @property
    def _mark(self) -> str:
        return str(self.folder)

    def _descendants(self) -> list[psutil.Process]:
        """Find what inherited our mark: a program that was killed may leave children behind."""
        return [process for process in psutil.process_iter() if _mark_of(process) == self._mark]


def _mark_of(process: psutil.Process) -> str | None:
    try:
        mark: str | None = process.environ().get(MARK)
    except (OSError, psutil.Error):
        return None
    return mark


def _end(processes: Sequence[psutil.Process], first: signal.Signals, timeout_s: float) -> None:
    _signal(processes, first)
    stubborn = _await_end(processes, timeout_s)
    _signal(stubborn, signal.SIGKILL)
    _await_end(stubborn, timeout_s)


def _signal(processes: Sequence[psutil.Process], number: signal.Signals) -> None:
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.send_signal(number)


def _await_end(processes: Sequence[psutil.Process], timeout_s: float) -> list[psutil.Process]:
    """Return those still alive; a zombie whose parent is slow to notice counts as gone."""
    deadline = time.monotonic() + timeout_s
    while (alive := [process for process in processes if _is_alive(process)]) and time.monotonic() < deadline:
        time.sleep(POLL_S)
    return alive


def _is_alive(process: psutil.Process) -> bool:
    try:
        if not process.is_running():
            return False
        if process.status() != psutil.STATUS_ZOMBIE:
            return True
    except psutil.NoSuchProcess:
        return False
    with contextlib.suppress(ChildProcessError):
        os.waitpid(process.pid, os.WNOHANG)
    return False
