"""Small flows and a job around them, for the tests of supervision."""

import threading
from collections.abc import Callable
from typing import Any

from dagster import AssetKey, DagsterInstance, JobDefinition, OpExecutionContext, job, op

from twin_assets.defs.heartbeat import Heartbeat
from twin_assets.defs.supervision import Flow, Reporting, run_supervised
from twin_assets.settings import Settings

WATCHED = AssetKey(["rabbitmq", "changes"])
REPORTING: Reporting[int] = Reporting(
    work=lambda documents: documents,
    observe=lambda documents: {WATCHED: {"documents": documents, "lag_s": documents / 10}},
    describe=lambda documents: f"{documents} documents",
)


def quick_settings(**overrides: Any) -> Settings:
    defaults: dict[str, Any] = {
        "heartbeat_interval_s": 0.02,
        "heartbeat_limit_s": 5,
        "observation_interval_s": 0.001,
    }
    return Settings(**(defaults | overrides), _env_file=None)


class Working:
    """A flow that reports a growing count until it is stopped."""

    def __init__(self) -> None:
        self.started = threading.Event()
        self.finished_its_slice = False

    def __call__(self, stop: threading.Event, report: Callable[[int], None]) -> None:
        documents = 0
        while not stop.wait(0.005):
            documents += 1
            report(documents)
            self.started.set()
        self.finished_its_slice = True


def supervising_job(
    flow: Flow[int],
    *,
    settings: Settings | None = None,
    heartbeat: Callable[[DagsterInstance, str], Heartbeat] | None = None,
    events_per_run: int = 800,
    stop_grace_s: float = 5,
) -> JobDefinition:
    @op(name="supervise")
    def supervise(context: OpExecutionContext) -> None:
        run_supervised(
            context,
            flow,
            settings=settings or quick_settings(),
            reporting=REPORTING,
            heartbeat=heartbeat(context.instance, context.run_id) if heartbeat else None,
            quiet_s=0,
            events_per_run=events_per_run,
            stop_grace_s=stop_grace_s,
        )

    @job(name="watch_flow")
    def watch_flow() -> None:
        supervise()

    return watch_flow
