"""Run one task in the deployed system to its end, and exit as it does: `verify` or `prepare`.

Asks the stack's outputs, as `pulumi stack output --json` prints them, on standard input.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

LIMIT_S = 3600.0
PAUSE_S = 10.0
NEVER_STARTED = 70
WRONG_USAGE = 64


@dataclass(frozen=True)
class Job:
    """One container of a task definition, by the name of its output, and its command if not its own."""

    what: str
    definition: str
    container: str
    command: list[str] = field(default_factory=list)


JOBS = {
    "verify": Job("twin check", "runTaskDefinition", "run", ["twin", "check"]),
    "prepare": Job("twin prepare-source", "prepareTaskDefinition", "prepare"),
}


class Ecs(Protocol):
    """What is needed of boto3's client."""

    def run_task(self, **request: Any) -> dict[str, Any]: ...

    def describe_tasks(self, **request: Any) -> dict[str, Any]: ...

    def stop_task(self, **request: Any) -> dict[str, Any]: ...


def run_to_its_end(
    ecs: Ecs,
    job: Job,
    outputs: Mapping[str, Any],
    *,
    clock: Callable[[], float] = time.monotonic,
    pause: Callable[[float], None] = time.sleep,
) -> tuple[int, str]:
    """Run a job and wait for its end; return its exit code and why it is that.

    A task that cannot be started, or takes more than an hour, counts as failed; the latter is stopped.
    A job whose definition the stack does not have is one that it does not need.
    """
    if job.definition not in outputs:
        return 0, f"nothing to do: this stack's choices need no `{job.what}`"
    cluster, until = outputs["cluster"], clock() + LIMIT_S
    started = ecs.run_task(**_request(job, outputs))
    if not started["tasks"]:
        reasons = ", ".join(str(failure.get("reason")) for failure in started.get("failures", []))
        return NEVER_STARTED, f"ECS did not start {job.what}: {reasons}"
    arn = started["tasks"][0]["taskArn"]
    while True:
        [task] = ecs.describe_tasks(cluster=cluster, tasks=[arn])["tasks"]
        if task["lastStatus"] == "STOPPED":
            return _outcome(job, task)
        if clock() > until:
            ecs.stop_task(cluster=cluster, task=arn, reason=f"{job.what} took more than an hour")
            return (
                NEVER_STARTED,
                f"{job.what} had not ended after {LIMIT_S / 60:.0f} minutes; see the log {arn}",
            )
        pause(PAUSE_S)


def _request(job: Job, outputs: Mapping[str, Any]) -> dict[str, Any]:
    command = {"command": job.command} if job.command else {}
    return {
        "cluster": outputs["cluster"],
        "taskDefinition": outputs[job.definition],
        "launchType": "FARGATE",
        "startedBy": job.container,
        "networkConfiguration": {
            "awsvpcConfiguration": {
                "subnets": outputs["privateSubnets"],
                "securityGroups": [outputs["taskSecurityGroup"]],
                "assignPublicIp": "DISABLED",
            }
        },
        "overrides": {"containerOverrides": [{"name": job.container, **command}]},
    }


def _outcome(job: Job, task: Mapping[str, Any]) -> tuple[int, str]:
    [container] = [each for each in task["containers"] if each["name"] == job.container]
    code = container.get("exitCode")
    if code is None:
        return NEVER_STARTED, f"{job.what} never ran: {task.get('stoppedReason', 'no reason given')}"
    return code, f"{job.what} ended with {code}; CloudWatch's log group /twin has what it said"


def main(arguments: list[str]) -> None:
    if len(arguments) != 1 or arguments[0] not in JOBS:
        sys.stderr.write(f"error: say which task to run: {' or '.join(JOBS)}\n")
        sys.exit(WRONG_USAGE)
    import boto3  # noqa: PLC0415 - the tests do without

    code, why = run_to_its_end(boto3.client("ecs"), JOBS[arguments[0]], json.load(sys.stdin))
    sys.stderr.write(f"{why}\n")
    sys.exit(code)


if __name__ == "__main__":
    main(sys.argv[1:])
