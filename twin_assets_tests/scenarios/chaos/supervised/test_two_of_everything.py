"""Two runs, two processes, two daemons for one share of the work: one writes, the other stands back."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from twin_assets.cli.long_runs import dagster_api
from twin_assets.stack.dagster import PROJECT
from twin_assets_tests.scenarios.chaos.supervised.dev_stack import CAPTURE, END_S, POLL_S, RUN_S, STREAM
from twin_assets_tests.scenarios.processes import long_run
from twin_assets_tests.scenarios.runs import dagster_instance, mark_failed
from twin_assets_tests.waiting import wait_until

pytestmark = [
    pytest.mark.servers,
    pytest.mark.slow,
    pytest.mark.chaos,
    pytest.mark.nightly,
    pytest.mark.timeout(1200),
]

DAGSTER = Path(sys.executable).parent / "dagster"
DAEMON = [sys.executable, "-m", "dagster._daemon", "run", "-w", str(PROJECT / "workspace.yaml")]


@contextmanager
def a_process(stack, command: list[str]) -> Iterator[subprocess.Popen[bytes]]:
    """Run a command of Dagster on the stack's instance."""
    with (stack.settings.state_dir / "other.log").open("wb") as out:
        process = subprocess.Popen(command, env=stack.environment, stdout=out, stderr=subprocess.STDOUT)
    try:
        yield process
    finally:
        process.terminate()
        process.wait(END_S)


def test_runs_that_are_marked_failed_while_their_processes_live_stand_back_by_themselves(stack, write, tally):
    write("before")
    stream, capture = stack.await_worker(), stack.find_worker(job=CAPTURE)
    zombies = [stream, capture]
    for zombie in zombies:
        mark_failed(zombie.run_id, stack.settings)
    tally.fault(2)
    write("while two of each may be at work")
    for zombie in zombies:
        wait_until(zombie.is_gone, what="the zombie ends by itself", limit_s=RUN_S, poll_s=POLL_S)
    stack.await_worker(stream)
    tally.recover()
    assert stack.find_worker(capture, job=CAPTURE)
    assert [stack.status_of(zombie.run_id) for zombie in zombies] == ["FAILURE", "FAILURE"]
    tally.settle()


def test_launches_by_hand_wait_until_the_run_at_work_ends_and_then_one_takes_over(stack, write, tally):
    api = dagster_api(stack.settings)
    first = stack.await_worker()
    spare = [api.launch(STREAM), api.launch(STREAM)]
    tally.fault(2)
    for word in ("a tick", "another"):
        write(word)
        tally.in_step()
        stack.await_skip_reason("keep_streaming", rf"stream-0 \(run {first.run_id[:8]}\) running")
    assert [stack.status_of(run) for run in spare] == ["QUEUED", "QUEUED"]
    api.terminate([first.run_id])
    second = stack.await_worker(first)
    write("by the second")
    tally.in_step()
    assert second.run_id in spare
    assert first.is_gone()
    (third,) = {*spare} - {second.run_id}
    assert stack.status_of(third) == "QUEUED"
    api.terminate([third])
    wait_until(
        lambda: stack.status_of(third) == "CANCELED",
        what="the spare one is canceled",
        limit_s=RUN_S,
        poll_s=POLL_S,
    )
    tally.settle()


def test_a_run_that_was_started_past_the_queue_is_told_to_end_and_ends_well(stack, write, tally):
    holder = stack.await_worker()
    command = [str(DAGSTER), "job", "execute", "-m", "twin_assets.definitions", "-j", STREAM]
    with a_process(stack, command) as rival:
        wait_until(
            lambda: len(stack.runs("STARTED")) == 2, what="two runs are at work", limit_s=RUN_S, poll_s=POLL_S
        )
        tally.fault()
        write("while two runs are at work")
        (second,) = [run["runId"] for run in stack.runs("STARTED") if run["runId"] != holder.run_id]
        assert rival.wait(END_S) == 0
    assert stack.status_of(second) == "SUCCESS"
    assert stack.await_worker() == holder
    tally.settle()


def test_a_stream_in_a_terminal_stands_in_line_behind_the_run_and_takes_over_when_it_dies(
    stack, settings, write, tally
):
    holder = stack.await_worker()
    with long_run(settings, "stream") as terminal:
        every_queue = stack.all_queues(terminal.process.pid)
        wait_until(
            lambda: stack.broker.in_line() == every_queue,
            what="it stands in line",
            limit_s=RUN_S,
            poll_s=POLL_S,
        )
        assert stack.broker.active() == stack.all_queues(holder.process.pid)
        holder.process.kill()
        tally.fault()
        write("while nobody but the terminal streams")
        wait_until(
            lambda: stack.broker.active() == every_queue, what="it takes over", limit_s=RUN_S, poll_s=POLL_S
        )
        tally.recover()
        terminal.end()
    successor = stack.await_worker(holder)
    assert stack.status_of(holder.run_id) == "FAILURE"
    assert successor != holder
    tally.settle()


def test_a_frozen_run_is_replaced_and_stands_back_when_it_wakes(stack, write, tally):
    frozen = stack.await_worker()
    os.kill(frozen.process.pid, signal.SIGSTOP)
    tally.fault()
    write("while the stream is frozen")
    successor = stack.await_worker(frozen)
    tally.recover()
    assert stack.status_of(frozen.run_id) == "FAILURE"
    os.kill(frozen.process.pid, signal.SIGCONT)
    tally.fault()
    write("while two are awake")
    wait_until(frozen.is_gone, what="the frozen run ends by itself", limit_s=RUN_S, poll_s=POLL_S)
    assert stack.await_worker(frozen) == successor
    tally.settle()


def test_two_daemons_leave_one_stream_at_work(stack, write, tally):
    daemons = set()

    def both_tick() -> bool:
        with dagster_instance(stack.settings) as instance:
            beat = instance.get_daemon_heartbeats().get("SENSOR")
        if beat:
            daemons.add(beat.daemon_id)
        return len(daemons) == 2

    worker = stack.await_worker()
    with a_process(stack, DAEMON):
        wait_until(both_tick, what="two daemons tick", limit_s=RUN_S, poll_s=POLL_S)
        for turn in range(2):
            worker.process.kill()
            tally.fault()
            write(f"with two daemons {turn}")
            worker = stack.await_worker(worker)
            tally.recover()
    # A daemon takes the runs that it has launched along.
    tally.fault()
    write("with one daemon again")
    for run in stack.runs("QUEUED"):
        dagster_api(stack.settings).terminate([run["runId"]])
    tally.settle()
    stack.await_worker()
