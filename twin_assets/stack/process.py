"""Child processes that outlive whoever started them: known by pid file, stopped by pid, never by name."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import psutil

# The shell writes its own pid before it becomes the program: there is no moment in which the program runs
# without a pid file, whenever the starter is killed.
BECOME = 'echo $$ > "$0" && cd "$1" && shift && exec "$@"'
CLOCK_TOLERANCE_S = 2.0


@dataclass(frozen=True)
class Launch:
    """What to run: a command and its whole environment."""

    command: Sequence[str]
    environment: Mapping[str, str] = field(default_factory=dict)


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
            return process if is_ours and not _is_dead(process) else None
        except (OSError, ValueError, psutil.Error):
            return None

    def start(self, launch: Launch) -> None:
        """Spawn the program; the log of its last run is kept as `.log.1`."""
        for path in (self.folder, self.log_file.parent, self.pid_file.parent):
            path.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.pid_file.unlink(missing_ok=True)
        if self.log_file.exists():
            self.log_file.replace(self.log_file.with_suffix(".log.1"))
        os.posix_spawn(
            "/bin/sh",
            ["sh", "-c", BECOME, str(self.pid_file), str(self.folder), *launch.command],
            dict(launch.environment),
            file_actions=[
                (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
                (os.POSIX_SPAWN_OPEN, 1, str(self.log_file), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600),
                (os.POSIX_SPAWN_DUP2, 1, 2),
            ],
            setsid=True,
            setsigmask=[],
            setsigdef=[signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGPIPE],
        )

    def stop(self, *, first: signal.Signals = signal.SIGTERM, timeout_s: float = 30.0) -> None:
        """Ask the process to end, wait, and kill it with its children where it does not."""
        process = self.find()
        if process is not None:
            _end(process, first, timeout_s)
        self.pid_file.unlink(missing_ok=True)

    def last_words(self) -> str:
        """Return the last line of the log that is not empty, for an error message."""
        try:
            lines = self.log_file.read_text(errors="replace").splitlines()
        except OSError:
            return ""
        return next((line.strip()[:300] for line in reversed(lines) if line.strip()), "")


def _end(process: psutil.Process, first: signal.Signals, timeout_s: float) -> None:
    with contextlib.suppress(psutil.NoSuchProcess):
        family = process.children(recursive=True)
        process.send_signal(first)
        try:
            process.wait(timeout_s)
        except psutil.TimeoutExpired:
            process.kill()
            process.wait(timeout_s)
        for orphan in family:
            with contextlib.suppress(psutil.NoSuchProcess):
                orphan.kill()


def _is_dead(process: psutil.Process) -> bool:
    if process.status() != psutil.STATUS_ZOMBIE:
        return False
    with contextlib.suppress(ChildProcessError):
        os.waitpid(process.pid, os.WNOHANG)
    return True
