from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from twin_assets.errors import StackError
from twin_assets.stack.lock import FileLock

HOLD = """
import sys; from pathlib import Path; from twin_assets.stack.lock import FileLock
FileLock(Path(sys.argv[1]), activity="x").acquire(); print("held", flush=True); sys.stdin.read()
"""


def test_second_holder_is_refused_with_the_pid_of_the_first(tmp_path: Path) -> None:
    path = tmp_path / "run" / "stack.lock"
    with (
        FileLock(path, activity="a start is at work"),
        pytest.raises(StackError, match=f"a start is at work .pid {os.getpid()}."),
    ):
        FileLock(path, activity="a start is at work").acquire()


def test_lock_is_free_after_release(tmp_path: Path) -> None:
    path = tmp_path / "stack.lock"
    for _ in range(2):
        with FileLock(path, activity="a start is at work"):
            pass


def test_lock_of_a_killed_process_is_free(tmp_path: Path) -> None:
    path = tmp_path / "stack.lock"
    command = [sys.executable, "-c", HOLD, str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        with pytest.raises(StackError, match=str(holder.pid)):
            FileLock(path, activity="x").acquire()
        holder.kill()
        holder.wait()
        FileLock(path, activity="x").acquire()
