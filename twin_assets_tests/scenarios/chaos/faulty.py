"""A `twin` command as a process of its own that ends or stops itself at a fault point.

`python -m twin_assets_tests.scenarios.chaos.faulty FLAG POINT TURN SIGNAL command…`: at the TURN-th time that
POINT is reached, the file FLAG appears and the process sends itself SIGNAL (KILL or STOP).
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path

from twin_assets.cli import main
from twin_assets.faults import FaultPoint, arm
from twin_assets.settings import Settings
from twin_assets_tests.scenarios.processes import END_S, LongRun, environment_of
from twin_assets_tests.waiting import wait_until

REACHED_S = 60.0


@dataclass(frozen=True)
class FaultyRun(LongRun):
    """A command that ends or stops itself."""

    flag: Path

    def await_fault(self, limit_s: float = REACHED_S) -> None:
        """Wait until the process has reached its fault point."""
        wait_until(
            self._is_reached, what=f"the fault point is reached: {self.said()[-2000:]}", limit_s=limit_s
        )

    def await_death(self) -> None:
        """Wait until it has killed itself."""
        self.await_fault()
        assert self.process.wait(END_S) == -signal.SIGKILL, self.said()[-3000:]

    def go_on(self) -> None:
        """Let a stopped process continue."""
        self.process.send_signal(signal.SIGCONT)

    def _is_reached(self) -> bool:
        assert self.process.poll() in (None, -signal.SIGKILL), self.said()[-3000:]
        return self.flag.exists()


@contextmanager
def faulty_run(
    settings: Settings, *command: str, at: FaultPoint, turn: int = 1, does: str = "KILL"
) -> Iterator[FaultyRun]:
    """Run a `twin` command that does something to itself at the `turn`-th time it reaches a point."""
    name = uuid.uuid4().hex[:8]
    log, flag = settings.state_dir / f"{command[0]}-{name}.log", settings.state_dir / f"{name}.reached"
    arguments = [str(flag), at.name, str(turn), does, *command]
    with log.open("wb") as out:
        process = subprocess.Popen(
            [sys.executable, "-m", __name__, *arguments],
            env=environment_of(settings),
            stdout=out,
            stderr=subprocess.STDOUT,
        )
    try:
        yield FaultyRun(process, log, flag)
    finally:
        process.kill()
        process.wait(END_S)


def arm_signal(flag: Path, point: FaultPoint, turn: int, name: str) -> None:
    """Send this process a signal at the `turn`-th time that it reaches a point."""
    turns = count(1)

    def call(reached: FaultPoint) -> None:
        if reached is point and next(turns) == turn:
            flag.touch()
            os.kill(os.getpid(), getattr(signal, f"SIG{name}"))

    arm(call)


if __name__ == "__main__":
    flag, point, turn, name = sys.argv[1:5]
    arm_signal(Path(flag), FaultPoint[point], int(turn), name)
    sys.argv[1:] = sys.argv[5:]
    main()
