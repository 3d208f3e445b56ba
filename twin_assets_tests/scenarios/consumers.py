"""Who gets the messages of each queue, asked of the broker itself."""

from __future__ import annotations

import json
import os
import re
import subprocess
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from twin_assets.stack.binaries import find_rabbitmq
from twin_assets.stack.rabbitmq import NODE

QUESTIONS = (["list_consumers", "queue_name", "channel_pid", "active"], ["list_channels", "pid", "name"])
Consumers = dict[str, list[int]]


@dataclass(frozen=True)
class BrokerView:
    """The broker of a local stack, seen from outside; it says nothing while it is down."""

    state_dir: Path
    epmd_port: int

    def active(self) -> Consumers:
        """Return the processes that get each queue's messages."""
        return self._consumers(active=True)

    def in_line(self) -> Consumers:
        """Return the processes that wait for each queue's consumer to leave."""
        return self._consumers(active=False)

    def _consumers(self, *, active: bool) -> Consumers:
        with ThreadPoolExecutor(len(QUESTIONS)) as pool:
            consumers, channels = pool.map(self._ask, QUESTIONS)
        owners = {each.laddr.port: each.pid for each in psutil.net_connections("tcp") if each.pid}
        by_channel = {each["pid"]: owners.get(_port_in(each["name"]), 0) for each in channels}
        found: Consumers = {}
        for each in consumers:
            if each["active"] is active:
                found.setdefault(each["queue_name"], []).append(by_channel.get(each["channel_pid"], 0))
        return found

    def _ask(self, question: list[str]) -> list[dict[str, Any]]:
        program = find_rabbitmq().with_name("rabbitmqctl")
        home = {"HOME": str(self.state_dir / "rabbitmq"), "ERL_EPMD_PORT": str(self.epmd_port)}
        done = subprocess.run(
            [program, "--quiet", "--node", NODE, "--formatter", "json", *question],
            env=os.environ | home,
            capture_output=True,
            check=False,
        )
        answer: list[dict[str, Any]] = json.loads(done.stdout) if done.returncode == 0 else []
        return answer


def _port_in(name: str) -> int:
    found = re.search(r":(\d+) ->", name)
    return int(found[1]) if found else 0
