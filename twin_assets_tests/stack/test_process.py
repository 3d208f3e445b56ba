from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from twin_assets.stack import process as module
from twin_assets.stack.process import ChildProcess, Launch
from twin_assets_tests.waiting import is_gone, wait_until

ENVIRONMENT = {"PATH": os.environ["PATH"]}
SLEEP = Launch(["sleep", "1000"], ENVIRONMENT)
WITH_CHILD = Launch(["sh", "-c", "sleep 1000 & echo $!; wait"], ENVIRONMENT)
STUBBORN = Launch(["sh", "-c", "trap '' TERM; echo deaf; while :; do sleep 0.05; done"], ENVIRONMENT)


@pytest.fixture
def child(tmp_path: Path) -> Iterator[ChildProcess]:
    started = ChildProcess("thing", tmp_path)
    yield started
    started.stop(timeout_s=1)


def _running(child: ChildProcess) -> psutil.Process:
    found = child.find()
    assert found is not None
    return found


def _first_log_line(child: ChildProcess) -> str:
    return wait_until(lambda: child.log_file.read_text().strip(), what="a line in the log")


def test_started_process_is_found_by_anyone(child: ChildProcess, tmp_path: Path) -> None:
    child.start(SLEEP)
    assert _running(ChildProcess("thing", tmp_path)).pid == _running(child).pid


def test_stopped_process_is_gone_with_its_pid_file(child: ChildProcess) -> None:
    child.start(SLEEP)
    running = _running(child)
    child.stop()
    assert not psutil.pid_exists(running.pid)
    assert not child.pid_file.exists()
    assert not child.has_died()


def test_stop_directly_after_start_leaves_nothing_behind(child: ChildProcess) -> None:
    child.start(STUBBORN)
    pid = int(child.pid_file.read_text())
    child.stop(timeout_s=1)
    assert not psutil.pid_exists(pid)


def test_killed_process_has_died_and_can_be_started_again(child: ChildProcess) -> None:
    child.start(SLEEP)
    first = _running(child)
    first.kill()
    wait_until(child.has_died, what="death noticed")
    child.start(SLEEP)
    assert _running(child).pid != first.pid


@pytest.fixture
def stranger() -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen(["sleep", "1000"]) as other:
        yield other
        other.kill()


def test_stale_pid_that_belongs_to_another_now_is_never_signalled(
    child: ChildProcess, stranger: subprocess.Popen[bytes]
) -> None:
    child.pid_file.parent.mkdir(parents=True)
    child.pid_file.write_text(str(stranger.pid))
    long_ago = psutil.Process(stranger.pid).create_time() - 60
    os.utime(child.pid_file, (long_ago, long_ago))
    assert child.find() is None
    child.stop()
    assert stranger.poll() is None
    assert not child.pid_file.exists()


@pytest.mark.parametrize("content", ["", "nonsense", "999999999"])
def test_unreadable_pid_file_means_not_running(child: ChildProcess, content: str) -> None:
    child.pid_file.parent.mkdir(parents=True)
    child.pid_file.write_text(content)
    assert child.find() is None


def test_process_deaf_to_sigterm_is_killed(child: ChildProcess) -> None:
    child.start(STUBBORN)
    assert _first_log_line(child) == "deaf"
    running = _running(child)
    child.stop(timeout_s=0.2)
    assert not psutil.pid_exists(running.pid)


def test_children_that_a_killed_process_left_behind_are_cleared_away(child: ChildProcess) -> None:
    child.start(WITH_CHILD)
    orphan = psutil.Process(int(_first_log_line(child)))
    _running(child).kill()
    wait_until(child.has_died, what="death noticed")
    child.stop()
    wait_until(lambda: is_gone(orphan), what="the orphan's end")


def test_ctrl_c_in_the_terminal_does_not_reach_it(child: ChildProcess) -> None:
    child.start(SLEEP)
    assert os.getsid(_running(child).pid) == _running(child).pid != os.getsid(0)


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_sigint_is_default_even_where_the_starter_ignores_it(child: ChildProcess) -> None:
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        child.start(SLEEP)
    finally:
        signal.signal(signal.SIGINT, before)
    status = Path(f"/proc/{_running(child).pid}/status").read_text()
    ignored = next(int(line.split()[1], 16) for line in status.splitlines() if line.startswith("SigIgn"))
    assert not ignored & 1 << signal.SIGINT - 1


def test_environment_is_given_whole(child: ChildProcess) -> None:
    child.start(Launch(["sh", "-c", "env; sleep 1000"], {**ENVIRONMENT, "THING": "1"}))
    wait_until(lambda: "THING=1" in child.log_file.read_text(), what="the environment in the log")
    assert "HOME=" not in child.log_file.read_text()


def test_log_of_the_last_run_is_kept_once(child: ChildProcess) -> None:
    for _ in range(3):
        child.start(Launch(["sh", "-c", "echo $$; sleep 1000"], ENVIRONMENT))
        wait_until(child.last_words, what="a line in the log")
        child.stop()
    assert sorted(path.name for path in child.log_file.parent.iterdir()) == ["thing.log", "thing.log.1"]


def test_log_over_its_limit_is_moved_aside_while_the_process_goes_on(
    child: ChildProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "LOG_LIMIT_BYTES", 10)
    child.start(Launch(["sh", "-c", "echo 0123456789; kill -STOP $$; echo after; sleep 1000"], ENVIRONMENT))
    wait_until(lambda: _running(child).status() == psutil.STATUS_STOPPED, what="first line written")
    child.trim_log()
    _running(child).send_signal(signal.SIGCONT)
    assert _first_log_line(child) == "after"
    assert child.log_file.with_suffix(".log.1").read_text() == "0123456789\n"


def test_missing_program_has_died_and_its_log_says_why(child: ChildProcess) -> None:
    child.start(Launch(["no-such-program"], ENVIRONMENT))
    wait_until(child.has_died, what="death noticed")
    assert "no-such-program" in child.last_words()


def test_last_words_may_leave_out_an_epilogue(child: ChildProcess) -> None:
    child.start(Launch(["sh", "-c", "echo the reason; echo; echo farewell, all"], ENVIRONMENT))
    wait_until(child.has_died, what="death noticed")
    assert child.last_words() == "farewell, all"
    assert child.last_words(besides="farewell") == "the reason"
