from __future__ import annotations

import signal
import subprocess
import sys
import textwrap
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from dagster import DagsterInstance, DagsterRun, DagsterRunStatus, ExecuteInProcessResult
from dagster_postgres.utils import DagsterPostgresException
from sqlalchemy.exc import OperationalError

from twin_assets.defs.heartbeat import Heartbeat
from twin_assets.defs.names import END_TAG, HEARTBEAT_TAG, PROGRESS_TAG
from twin_assets.errors import SourceUnavailable
from twin_assets_tests.defs.flows import WATCHED, Working, quick_settings, supervising_job
from twin_assets_tests.waiting import wait_until

Report = Callable[[int], None]


def the_run(instance: DagsterInstance) -> DagsterRun:
    return instance.get_runs(limit=1)[0]


def run_while(
    instance: DagsterInstance, flow: Working, interfere: Callable[[DagsterRun], None], **options: object
) -> ExecuteInProcessResult:
    """Execute the flow's job, and interfere from another thread once it works."""

    def wait_and_interfere() -> None:
        assert flow.started.wait(60)
        interfere(the_run(instance))

    with ThreadPoolExecutor(1) as pool:
        interference = pool.submit(wait_and_interfere)
        job = supervising_job(flow, **options)  # type: ignore[arg-type]
        result = job.execute_in_process(instance=instance, raise_on_error=False)
        interference.result()
    return result


def end_kindly(instance: DagsterInstance, flow: Working) -> Callable[[DagsterRun], None]:
    """Ask for the end until it is heard, as the sensor does: of two that write tags at once one may lose."""

    def ask(run: DagsterRun) -> bool:
        instance.add_run_tags(run.run_id, {END_TAG: "the test has seen enough"})
        return flow.finished_its_slice

    return lambda run: wait_until(lambda: ask(run), what="the flow ends", limit_s=60, poll_s=0.5) and None


def failure_of(result: ExecuteInProcessResult) -> str:
    error = result.failure_data_for_node("supervise").error
    return str(error.cause.message if error.cause else error.message)


def test_a_run_beats_and_says_how_far_it_is(instance):
    flow = Working()

    assert run_while(instance, flow, end_kindly(instance, flow)).success
    tags = the_run(instance).tags
    assert float(tags[HEARTBEAT_TAG]) > 1.7e9
    assert tags[PROGRESS_TAG].endswith(" documents")
    assert flow.finished_its_slice


def test_a_full_event_log_ends_the_run_well(instance):
    flow = Working()
    result = supervising_job(flow, events_per_run=3).execute_in_process(instance=instance)
    observations = instance.fetch_observations(WATCHED, limit=100).records
    assert result.success
    assert flow.finished_its_slice
    assert 3 <= len(observations) <= 4


def test_an_unchanged_count_is_observed_once(instance):
    def observations() -> int:
        return len(instance.fetch_observations(WATCHED, limit=10).records)

    def idle(stop: threading.Event, report: Report) -> None:
        report(7)
        wait_until(observations, what="the first observation")
        beats = iter(range(10))
        while not stop.wait(0.02) and next(beats, None) is not None:
            report(7)
        raise SourceUnavailable("mongodb://127.0.0.1")

    supervising_job(idle).execute_in_process(instance=instance, raise_on_error=False)
    assert observations() == 1


def test_the_exception_of_the_flow_is_the_failure_of_the_run(instance):
    def broken(stop: threading.Event, report: Report) -> None:
        raise SourceUnavailable("mongodb://127.0.0.1:27017", "connection refused")

    result = supervising_job(broken).execute_in_process(instance=instance, raise_on_error=False)
    assert not result.success
    assert "MongoDB at mongodb://127.0.0.1:27017 cannot be reached" in failure_of(result)


def test_a_panic_of_the_flow_is_a_failure_too(instance):
    class Panic(BaseException):
        pass

    def panicking(stop: threading.Event, report: Report) -> None:
        raise Panic("index out of bounds")

    result = supervising_job(panicking).execute_in_process(instance=instance, raise_on_error=False)
    assert "index out of bounds" in result.failure_data_for_node("supervise").user_failure_data.description


def test_an_end_that_nobody_asked_for_is_a_failure(instance):
    result = supervising_job(lambda stop, report: None).execute_in_process(
        instance=instance, raise_on_error=False
    )
    assert not result.success
    assert "nobody asked" in result.failure_data_for_node("supervise").user_failure_data.description


def test_a_run_marked_as_failed_stops_its_flow_and_stays_failed(instance):
    flow = Working()
    result = run_while(instance, flow, lambda run: instance.report_run_failed(run, "no heartbeat"))
    assert not result.success
    assert flow.finished_its_slice
    assert the_run(instance).status is DagsterRunStatus.FAILURE


def test_a_run_marked_as_canceled_stops_its_flow_and_stays_canceled(instance):
    flow = Working()
    run_while(instance, flow, instance.report_run_canceled)
    assert flow.finished_its_slice
    assert the_run(instance).status is DagsterRunStatus.CANCELED


def test_a_deleted_run_stops_its_flow(instance):
    flow = Working()
    run_while(instance, flow, lambda run: instance.delete_run(run.run_id))
    assert flow.finished_its_slice


LOCKED = OperationalError("UPDATE runs", {}, Exception("database is locked"))
GONE = DagsterPostgresException("too many retries for DB connection")


class Deaf(Heartbeat):
    """A heartbeat whose storage does not answer the first `deaf_beats` beats that find the flow at work."""

    deaf_beats = 3
    error: Exception = LOCKED

    def _write(self, progress: str) -> None:
        if progress and self.deaf_beats > 0:
            self.deaf_beats -= 1
            raise self.error
        super()._write(progress)


class DeafForEver(Deaf):
    deaf_beats = 10**9


@pytest.mark.parametrize("error", [LOCKED, GONE], ids=["SQLite is locked", "PostgreSQL is away"])
def test_a_storage_that_does_not_answer_does_not_stop_the_flow(instance, error):
    flow = Working()

    def deaf(instance: DagsterInstance, run_id: str) -> Deaf:
        heartbeat = Deaf(instance, run_id, limit_s=60)
        heartbeat.error = error
        return heartbeat

    result = run_while(instance, flow, end_kindly(instance, flow), heartbeat=deaf)
    assert result.success
    assert PROGRESS_TAG in the_run(instance).tags


def test_a_run_that_cannot_beat_for_longer_than_the_limit_ends_itself(instance):
    flow = Working()
    job = supervising_job(flow, heartbeat=lambda instance, run_id: DeafForEver(instance, run_id, limit_s=0.1))
    result = job.execute_in_process(instance=instance, raise_on_error=False)
    assert "took no heartbeat" in result.failure_data_for_node("supervise").user_failure_data.description
    assert flow.finished_its_slice


def test_a_flow_that_does_not_stop_is_left_behind(instance):
    released = threading.Event()

    def stubborn(stop: threading.Event, report: Report) -> None:
        for documents in range(100):
            report(documents)
            if stop.wait(0.01):
                break
        released.wait(20)

    result = supervising_job(stubborn, events_per_run=1, stop_grace_s=0.05).execute_in_process(
        instance=instance, raise_on_error=False
    )
    released.set()
    assert "did not stop within" in result.failure_data_for_node("supervise").user_failure_data.description


WORKER = """
    import sys, threading
    from dagster import DagsterInstance
    from twin_assets_tests.defs.flows import quick_settings, supervising_job

    def work(stop, report):
        instance.report_run_canceling(instance.get_runs()[0])
        print("working", flush=True)
        stop.wait(60)
        print("slice finished", flush=True)

    with DagsterInstance.local_temp(sys.argv[1]) as instance:
        job = supervising_job(work, settings=quick_settings(heartbeat_interval_s=30))
        job.execute_in_process(instance=instance, raise_on_error=False)
        print(instance.get_runs()[0].status.value, flush=True)
"""


@pytest.mark.parametrize("interrupt", [signal.SIGTERM, signal.SIGINT])
def test_terminate_lets_the_slice_in_hand_finish(tmp_path: Path, interrupt: signal.Signals):
    worker = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(WORKER), str(tmp_path)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        assert worker.stdout is not None
        assert worker.stdout.readline() == "working\n"
        worker.send_signal(interrupt)
        output, _ = worker.communicate(timeout=30)
    finally:
        worker.kill()
        worker.wait()
    assert output.splitlines() == ["slice finished", "CANCELED"]


def test_the_defaults_beat_well_within_the_limit():
    settings = quick_settings(heartbeat_interval_s=5, heartbeat_limit_s=30)
    assert settings.heartbeat_interval_s * 3 <= settings.heartbeat_limit_s
