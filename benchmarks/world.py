"""A local stack with Dagster, in a folder and on ports of its own, as an operator would run it."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from twin_assets.operations.twin import Twin, open_twin
from twin_assets.settings import Settings, load_settings
from twin_assets.stack.stack import LocalStack
from twin_assets_tests.free_ports import free_port

PORTS = ("mongodb", "rabbitmq", "rabbitmq_dist", "epmd", "qdrant", "qdrant_grpc", "dagster")
LIMIT_S = 600.0


@dataclass(frozen=True)
class World:
    """The open twin, and when its Dagster was asked to start (s since the epoch)."""

    settings: Settings
    twin: Twin
    stack: LocalStack


@contextmanager
def running_world(folder: Path) -> Iterator[World]:
    os.environ["TWIN_STATE_DIR"] = str(folder)
    for name in PORTS:
        os.environ[f"TWIN_LOCAL_{name.upper()}_PORT"] = str(free_port())
    stack = LocalStack(load_settings(), report=print)
    stack.dev()
    try:
        settings = load_settings()
        with open_twin(settings) as twin:
            yield World(settings, twin, stack)
    finally:
        stack.down()


def wait_for(condition: Callable[[], bool], what: str, *, pause_s: float = 0.05) -> None:
    end = time.monotonic() + LIMIT_S
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError(f"{what}: not within {LIMIT_S:.0f} s")
        time.sleep(pause_s)


def wait_in_step(world: World) -> None:
    """Wait until everything that was committed so far has been applied."""
    target, queues = world.twin.source.now(), world.settings.rabbitmq_queues
    wait_for(lambda: (world.twin.meta.watermark(queues) or 0) >= target, "the watermark passes")
