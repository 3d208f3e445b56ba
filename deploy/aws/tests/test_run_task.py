from __future__ import annotations

import subprocess
import sys
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from run_task import JOBS, NEVER_STARTED, WRONG_USAGE, Job, run_to_its_end

OUTPUTS = {
    "cluster": "twin",
    "runTaskDefinition": "arn:task-definition/twin-run:7",
    "prepareTaskDefinition": "arn:task-definition/twin-prepare:3",
    "privateSubnets": ["subnet-1", "subnet-2"],
    "taskSecurityGroup": "sg-1",
}
OVERRIDES = {
    "verify": {"name": "run", "command": ["twin", "check"]},
    # The definition has its own command.
    "prepare": {"name": "prepare"},
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


def stopped(job: Job, **container: Any) -> dict[str, Any]:
    return {
        "lastStatus": "STOPPED",
        "stoppedReason": "CannotPullContainerError",
        "containers": [{"name": "certificates", "exitCode": 0}, {"name": job.container, **container}],
    }


RUNNING = {"lastStatus": "RUNNING", "containers": []}


@pytest.fixture(params=JOBS)
def name(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.mark.parametrize("code", [0, 1])
def test_the_exit_code_is_that_of_the_task(name: str, code: int) -> None:
    ecs, pauses = FakeEcs(RUNNING, RUNNING, stopped(JOBS[name], exitCode=code)), []
    assert run_to_its_end(ecs, JOBS[name], OUTPUTS, clock=lambda: 0.0, pause=pauses.append)[0] == code
    assert len(pauses) == 2
    [(_, request)] = ecs.requests
    assert request["taskDefinition"] == OUTPUTS[JOBS[name].definition]
    assert request["overrides"]["containerOverrides"] == [OVERRIDES[name]]
    network = request["networkConfiguration"]["awsvpcConfiguration"]
    assert network["assignPublicIp"] == "DISABLED"
    assert network["subnets"] == OUTPUTS["privateSubnets"]
    assert network["securityGroups"] == [OUTPUTS["taskSecurityGroup"]]


def test_a_task_that_never_ran_is_a_failure_with_its_reason(name: str) -> None:
    job = JOBS[name]
    code, why = run_to_its_end(FakeEcs(stopped(job)), job, OUTPUTS, clock=lambda: 0.0)
    assert (code, "CannotPullContainerError" in why) == (NEVER_STARTED, True)
    code, why = run_to_its_end(FakeEcs(RUNNING, failures=[{"reason": "RESOURCE:MEMORY"}]), job, OUTPUTS)
    assert (code, "RESOURCE:MEMORY" in why) == (NEVER_STARTED, True)


def test_a_task_that_does_not_end_is_stopped(name: str) -> None:
    ecs, times = FakeEcs(RUNNING), count(step=1000)
    code, why = run_to_its_end(
        ecs, JOBS[name], OUTPUTS, clock=lambda: float(next(times)), pause=lambda _: None
    )
    assert code == NEVER_STARTED
    assert "60 minutes" in why
    assert ecs.requests[-1][0] == "stop"


def test_a_stack_that_has_nothing_to_prepare_says_so_in_one_line() -> None:
    ecs = FakeEcs()
    outputs = {key: value for key, value in OUTPUTS.items() if key != "prepareTaskDefinition"}
    code, why = run_to_its_end(ecs, JOBS["prepare"], outputs)
    assert (code, ecs.requests) == (0, [])
    assert "nothing to do" in why
    assert "\n" not in why


@pytest.mark.parametrize("arguments", [[], ["repair"], ["verify", "prepare"]])
def test_a_task_that_it_does_not_know_is_refused(arguments: list[str]) -> None:
    program = str(Path(__file__).parents[1] / "run_task.py")
    ran = subprocess.run([sys.executable, program, *arguments], capture_output=True, text=True, check=False)
    assert (ran.returncode, ran.stderr) == (WRONG_USAGE, "error: say which task to run: verify or prepare\n")
