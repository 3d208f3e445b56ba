"""Commands as processes of their own, which can be killed as a machine kills them."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from pydantic import SecretStr

from twin_assets.settings import Settings

END_S = 60.0


@dataclass(frozen=True)
class LongRun:
    """One command at work, such as `twin stream`, and the file that it prints into."""

    process: subprocess.Popen[bytes]
    log: Path

    def said(self) -> str:
        return self.log.read_text()

    def last_number(self, pattern: str) -> int:
        """Return the number in the last place that matches; 0 where nothing does."""
        found = re.findall(pattern, self.said())
        return int(found[-1]) if found else 0

    def kill(self) -> None:
        """End it as `kill -9` does; fails where it has ended by itself."""
        assert self.process.poll() is None, self.said()[-3000:]
        self.process.kill()
        self.process.wait(END_S)

    def end(self) -> None:
        """End it in good order."""
        self.process.terminate()
        assert self.process.wait(END_S) == 0, self.said()[-3000:]


@contextmanager
def long_run(settings: Settings, *command: str) -> Iterator[LongRun]:
    """Run `python -m twin_assets <command>` on the servers of `settings`."""
    log = settings.state_dir / f"{command[0]}-{uuid.uuid4().hex[:8]}.log"
    with log.open("wb") as out:
        process = subprocess.Popen(
            [sys.executable, "-m", "twin_assets", *command],
            env=environment_of(settings),
            stdout=out,
            stderr=subprocess.STDOUT,
        )
    try:
        yield LongRun(process, log)
    finally:
        process.kill()
        process.wait(END_S)


def environment_of(settings: Settings) -> dict[str, str]:
    """Return our environment plus every setting, so that another process has the same ones."""
    plain = {
        f"TWIN_{name.upper()}": value.get_secret_value() if isinstance(value, SecretStr) else str(value)
        for name, value in settings
        if value is not None
    }
    return os.environ | plain
