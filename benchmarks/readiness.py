"""How long a stream takes from the sensor's tick until it consumes, and how much memory it needs."""

from __future__ import annotations

import re
import time
from pathlib import Path

import psutil
from dagster import DagsterInstance

from benchmarks.report import Figures
from benchmarks.world import World, wait_for
from twin_assets.broker.depth import queue_depths
from twin_assets.cli.long_runs import dagster_api


def measure_readiness(world: World) -> Figures:
    """Terminate the running stream; the next tick starts another one: time that one."""
    api = dagster_api(world.settings)
    wait_for(lambda: _consumers(world) > 0, "the first stream consumes", pause_s=0.2)
    first = _stream_run(world)
    api.terminate([first["runId"]])
    wait_for(lambda: _stream_run(world)["runId"] != first["runId"], "the sensor's next run", pause_s=0.1)
    second = _stream_run(world)
    wait_for(lambda: _consumers(world) == world.settings.rabbitmq_queues, "it consumes", pause_s=0.05)
    return {"tick_to_ready_stream_s": time.time() - second["creationTime"]}


def measure_memory(world: World) -> Figures:
    """Peak resident memory of the long runs' workers, as the kernel counted it."""
    jobs = {"capture": "capture_changes", "stream": "stream_features"}
    return {f"{name}_peak_rss_mb": _peak_mb(worker_of(world, job)) for name, job in jobs.items()}


def worker_of(world: World, job: str) -> psutil.Process:
    """Return the process of a job's latest run, which Dagster names in the run's log."""
    run_id = dagster_api(world.settings).latest_runs(job)[0]["runId"]
    with DagsterInstance.from_config(str(world.settings.state_dir / "dagster")) as instance:
        messages = [event.message for event in instance.all_logs(run_id)]
    found = next(found for message in messages if (found := re.search(r"\(pid: (\d+)\)", message)))
    return psutil.Process(int(found[1]))


def _consumers(world: World) -> int:
    depths = queue_depths(world.settings.require_url("rabbitmq_url"), world.settings.rabbitmq_queues)
    return sum(count > 0 for count in depths.consumers)


def _stream_run(world: World) -> dict:
    runs = dagster_api(world.settings).latest_runs("stream_features")
    return runs[0] if runs else {"runId": "", "creationTime": 0.0}


def _peak_mb(process: psutil.Process) -> float:
    status = Path(f"/proc/{process.pid}/status").read_text()
    found = re.search(r"VmHWM:\s+(\d+) kB", status)
    return int(found[1]) / 1024 if found else 0.0
