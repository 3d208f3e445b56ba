"""What keeps the runs alive is itself killed, reloaded or lied to: the twin goes on, with one writer."""

from __future__ import annotations

from itertools import pairwise

import pytest

from twin_assets.cli.long_runs import dagster_api
from twin_assets.defs.upkeep import pause_after
from twin_assets_tests.scenarios.chaos.supervised.dev_stack import POLL_S, RUN_S
from twin_assets_tests.waiting import is_gone, wait_until

pytestmark = [
    pytest.mark.servers,
    pytest.mark.slow,
    pytest.mark.chaos,
    pytest.mark.nightly,
    pytest.mark.timeout(1200),
]

LOCATION = "twin_assets.definitions"
WRONG_QUEUES = 5
FAILURES = 3


def test_a_reload_of_the_code_location_leaves_the_run_at_work(stack, write, tally):
    worker = stack.await_worker()
    dagster_api(stack.settings).reload_location(LOCATION)
    tally.fault()
    write("after the reload")
    tally.recover()
    stack.await_skip_reason("keep_streaming", rf"stream-0 \(run {worker.run_id[:8]}\) running")
    assert stack.await_worker() == worker
    tally.settle()


def test_a_killed_code_server_is_replaced_while_the_run_goes_on_and_sensors_watch_again(stack, write, tally):
    worker = stack.await_worker()
    lost = stack.family("api", "grpc")  # one that was reloaded stays for a while beside its successor
    for server in lost:
        server.kill()
    tally.fault()
    write("without a code server")
    tally.recover()
    assert stack.await_worker() == worker
    wait_until(
        lambda: not {*lost} >= {*stack.family("api", "grpc")},
        what="another code server",
        limit_s=RUN_S,
        poll_s=POLL_S,
    )
    stack.await_skip_reason("keep_streaming", rf"stream-0 \(run {worker.run_id[:8]}\) running")
    worker.process.kill()
    tally.fault()
    write("with another code server")
    stack.await_worker(worker)
    tally.settle()


def test_a_killed_daemon_is_started_again_by_the_stack(stack, write, tally):
    (daemon,) = stack.family("dagster._daemon")
    daemon.kill()
    tally.fault()
    write("without a daemon")
    wait_until(
        lambda: "dagster: ended" in stack.said(), what="the stack notices", limit_s=RUN_S, poll_s=POLL_S
    )
    wait_until(
        lambda: [each for each in stack.family("dagster._daemon") if each != daemon],
        what="another daemon",
        limit_s=RUN_S,
        poll_s=POLL_S,
    )
    tally.settle()
    stack.await_worker()


def test_a_flow_that_fails_at_once_is_started_again_after_growing_pauses(stack, twin, write, tally):
    records = twin.source.client[twin.settings.meta_database]["queues"]
    worker = stack.await_worker()
    records.update_one({"_id": "queues"}, {"$set": {"count": WRONG_QUEUES}})
    dagster_api(stack.settings).terminate([worker.run_id])
    tally.fault()
    write("while no stream can start")
    try:
        stack.await_skip_reason(
            "keep_streaming",
            rf"stream-0: waiting \d+ s after {FAILURES} fast failures: last error: .*"
            rf"TWIN_RABBITMQ_QUEUES is 8, but changes are spread over {WRONG_QUEUES} queues",
        )
        failed = stack.runs("FAILURE")[:FAILURES][::-1]
    finally:
        records.update_one({"_id": "queues"}, {"$set": {"count": twin.settings.rabbitmq_queues}})
    assert_pauses_grow(failed)
    stack.await_worker(worker)
    tally.settle()


def assert_pauses_grow(failed) -> None:
    """The k-th of these runs, oldest first, was asked for only after the pause that k failures cost."""
    for number, (before, after) in enumerate(pairwise(failed), start=1):
        assert after["creationTime"] - before["endTime"] >= pause_after(number)


def test_a_killed_machine_comes_back_with_one_writer_and_everything_in_step(stack, write, tally):
    worker = stack.await_worker()
    write("before the end of the world")
    stack.kill_everything()
    tally.fault()
    assert is_gone(worker.process)
    stack.start()
    write("after it")
    successor = stack.await_worker(worker)
    assert stack.status_of(worker.run_id) == "FAILURE"
    assert [run["runId"] for run in stack.runs("QUEUED", "STARTING", "STARTED")] == [successor.run_id]
    tally.settle()
