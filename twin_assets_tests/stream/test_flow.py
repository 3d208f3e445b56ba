"""The dataflow itself, on Bytewax, with steps that only write down what they were given."""

from __future__ import annotations

import threading

import pytest

from twin_assets.stream.flow import build_flow, run_flow
from twin_assets.stream.intake import Intake
from twin_assets.stream.source import ChangeSource
from twin_assets_tests.stream.test_intake import FakeInbox, delivery, pace

STEPS = ["read_changes", "fetch", "clean", "chunk", "plan", "embed", "write"]


class RecordingSteps:
    """Stops the flow after the first write, so that what was read must have passed every step before."""

    def __init__(self, intake: Intake, stop: threading.Event) -> None:
        self._intake, self._stop = intake, stop
        self.calls: list[tuple[str, list[int]]] = []
        self.fails_in = ""

    def __getattr__(self, name: str):
        if name not in STEPS:
            raise AttributeError(name)
        return lambda values: self._step(name, list(values))

    def _step(self, name, deliveries):
        if name == self.fails_in:
            raise ValueError(f"{name} is broken")
        self.calls.append((name, [found.tag for found in deliveries]))
        if name == "write":
            self._intake.settle(deliveries)
            self._stop.set()
        return deliveries


@pytest.fixture
def inbox():
    return FakeInbox(q0=[delivery(1), delivery(2)])


def run(inbox, *, fails_in: str = "") -> RecordingSteps:
    stop = threading.Event()
    intake = Intake(inbox, queues=[0], pace=pace(8))
    steps = RecordingSteps(intake, stop)
    steps.fails_in = fails_in
    run_flow(build_flow(ChangeSource(intake, stop=stop), steps))
    return steps


def test_a_batch_passes_the_steps_whole_and_in_order(inbox):
    assert run(inbox).calls == [(step, [1, 2]) for step in STEPS]


def test_nothing_is_acknowledged_before_the_write(inbox):
    with pytest.raises(ValueError, match="embed"):
        run(inbox, fails_in="embed")
    assert inbox.acknowledged == []
