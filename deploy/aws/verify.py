"""The smoke test of a deployment: `twin check` as one task in the deployed system; exits as it does.

Asks the stack's outputs, as `pulumi stack output --json` prints them, on standard input.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Mapping
from typing import Any, Protocol

LIMIT_S = 3600.0
PAUSE_S = 10.0
COMMAND = ["twin", "check"]
NEVER_STARTED = 70


class Ecs(Protocol):
    """What is needed of boto3's client."""

    def run_task(self, **request: Any) -> dict[str, Any]: ...

    def describe_tasks(self, **request: Any) -> dict[str, Any]: ...

    def stop_task(self, **request: Any) -> dict[str, Any]: ...


def verify(
    ecs: Ecs,
    outputs: Mapping[str, Any],
    *,
    clock: Callable[[], float] = time.monotonic,
    pause: Callable[[float], None] = time.sleep,
) -> tuple[int, str]:
    """Run the checks and wait for their end; return the exit code and why it is that.

    A task that cannot be started, or takes more than an hour, counts as failed; the latter is stopped.
    """
    cluster, until = outputs["cluster"], clock() + LIMIT_S
    started = ecs.run_task(
        cluster=cluster,
        taskDefinition=outputs["runTaskDefinition"],
        launchType="FARGATE",
        startedBy="verify",
        networkConfiguration={
            "awsvpcConfiguration": {
                "subnets": outputs["privateSubnets"],
                "securityGroups": [outputs["taskSecurityGroup"]],
                "assignPublicIp": "DISABLED",
            }
        },
        overrides={"containerOverrides": [{"name": "run", "command": COMMAND}]},
    )
    if not started["tasks"]:
        reasons = ", ".join(str(failure.get("reason")) for failure in started.get("failures", []))
        return NEVER_STARTED, f"ECS did not start the checks: {reasons}"
    arn = started["tasks"][0]["taskArn"]
    while True:
        [task] = ecs.describe_tasks(cluster=cluster, tasks=[arn])["tasks"]
        if task["lastStatus"] == "STOPPED":
            return _outcome(task)
        if clock() > until:
            ecs.stop_task(cluster=cluster, task=arn, reason="the checks took more than an hour")
            return (
                NEVER_STARTED,
                f"the checks had not ended after {LIMIT_S / 60:.0f} minutes; see the log {arn}",
            )
        pause(PAUSE_S)


def _outcome(task: Mapping[str, Any]) -> tuple[int, str]:
    [container] = [each for each in task["containers"] if each["name"] == "run"]
    code = container.get("exitCode")
    if code is None:
        return NEVER_STARTED, f"the checks never ran: {task.get('stoppedReason', 'no reason given')}"
    return code, f"twin check ended with {code}; CloudWatch's log group /twin has what it said"


def main() -> None:
    import boto3  # noqa: PLC0415 - the tests do without

    code, why = verify(boto3.client("ecs"), json.load(sys.stdin))
    sys.stderr.write(f"{why}\n")
    sys.exit(code)


if __name__ == "__main__":
    main()
