from __future__ import annotations

from itertools import count
from typing import Any

import pytest
from verify import NEVER_STARTED, verify

OUTPUTS = {
    "cluster": "twin",
    "runTaskDefinition": "arn:task-definition/twin-run:7",
    "privateSubnets": ["subnet-1", "subnet-2"],
    "taskSecurityGroup": "sg-1",
}


class FakeEcs:
    """Starts one task, which is in these states one after the other."""

    def __init__(self, *states: dict[str, Any], failures: list[dict[str, str]] | None = None) -> None:
        self._states = list(states)
        self._failures = failures or []
        self.requests: list[tuple[str, dict[str, Any]]] = []

    def run_task(self, **request: Any) -> dict[str, Any]:
        self.requests.append(("run", request))
        return {"tasks": [] if self._failures else [{"taskArn": "arn:task/1"}], "failures": self._failures}

    def describe_tasks(self, **request: Any) -> dict[str, Any]:
        state = self._states.pop(0) if len(self._states) > 1 else self._states[0]
        return {"tasks": [state]}

    def stop_task(self, **request: Any) -> dict[str, Any]:
        self.requests.append(("stop", request))
        return {}


def stopped(**container: Any) -> dict[str, Any]:
    return {
        "lastStatus": "STOPPED",
        "stoppedReason": "CannotPullContainerError",
        "containers": [{"name": "run", **container}],
    }


RUNNING = {"lastStatus": "RUNNING", "containers": []}


@pytest.mark.parametrize("code", [0, 1])
def test_the_exit_code_is_that_of_the_checks(code: int) -> None:
    ecs, pauses = FakeEcs(RUNNING, RUNNING, stopped(exitCode=code)), []
    assert verify(ecs, OUTPUTS, clock=lambda: 0.0, pause=pauses.append)[0] == code
    assert len(pauses) == 2
    [(_, request)] = ecs.requests
    assert request["taskDefinition"] == OUTPUTS["runTaskDefinition"]
    assert request["overrides"]["containerOverrides"] == [{"name": "run", "command": ["twin", "check"]}]
    network = request["networkConfiguration"]["awsvpcConfiguration"]
    assert network["assignPublicIp"] == "DISABLED"
    assert network["subnets"] == OUTPUTS["privateSubnets"]


def test_a_task_that_never_ran_is_a_failure_with_its_reason() -> None:
    code, why = verify(FakeEcs(stopped()), OUTPUTS, clock=lambda: 0.0)
    assert (code, "CannotPullContainerError" in why) == (NEVER_STARTED, True)
    code, why = verify(FakeEcs(RUNNING, failures=[{"reason": "RESOURCE:MEMORY"}]), OUTPUTS)
    assert (code, "RESOURCE:MEMORY" in why) == (NEVER_STARTED, True)


def test_checks_that_do_not_end_are_stopped() -> None:
    ecs, times = FakeEcs(RUNNING), count(step=1000)
    code, why = verify(ecs, OUTPUTS, clock=lambda: float(next(times)), pause=lambda _: None)
    assert code == NEVER_STARTED
    assert "60 minutes" in why
    assert ecs.requests[-1][0] == "stop"
