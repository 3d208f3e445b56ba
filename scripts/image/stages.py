"""A stage under construction: its layers and configuration, and how each instruction changes them."""

from __future__ import annotations

import copy
import json
import re
import shlex
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import PurePosixPath

from scripts.image.dockerfile import Instruction
from scripts.image.errors import ImageError
from scripts.image.layers import Layer
from scripts.image.record import HealthCheck
from scripts.image.variables import pairs, substitute


@dataclass
class State:
    """What a stage is so far. `given` are build arguments and their defaults before the first FROM."""

    layers: list[Layer]
    given: dict[str, str]
    steps: list[str] = field(default_factory=list)
    arguments: dict[str, str] = field(default_factory=dict)
    environment: dict[str, str] = field(default_factory=dict)
    user: str = "0:0"
    workdir: str = "/"
    command: list[str] = field(default_factory=list)
    health: HealthCheck | None = None
    stop_signal: str = "SIGTERM"
    ports: list[str] = field(default_factory=list)
    labels: dict[str, str] = field(default_factory=dict)

    def child(self, given: dict[str, str]) -> State:
        """Return the beginning of a stage FROM this one."""
        return replace(copy.deepcopy(self), given=given)

    @property
    def variables(self) -> dict[str, str]:
        return self.arguments | self.environment

    def path(self, text: str) -> str:
        """Return a path of the tree, relative ones taken from WORKDIR."""
        return str(PurePosixPath(self.workdir) / text)


def set_argument(state: State, instruction: Instruction) -> None:
    name, has_default, _ = instruction.text.partition("=")
    default = pairs(instruction.text, state.variables)[name] if has_default else None
    value = state.given.get(name, default)
    if value is not None:
        state.arguments[name] = value


def set_environment(state: State, instruction: Instruction) -> None:
    state.environment |= pairs(instruction.text, state.variables)


def set_labels(state: State, instruction: Instruction) -> None:
    state.labels |= pairs(instruction.text, state.variables)


def set_user(state: State, instruction: Instruction) -> None:
    user = substitute(instruction.text, state.variables)
    if not re.fullmatch(r"\d+:\d+", user):
        raise ImageError(f"USER {user}: this builder wants both numbers, as in 10001:10001")
    state.user = user


def set_command(state: State, instruction: Instruction) -> None:
    state.command = command_of(instruction.text)


def set_health(state: State, instruction: Instruction) -> None:
    _, _, command = instruction.text.partition("CMD")
    state.health = HealthCheck(command_of(command.strip()), dict(instruction.flags))


def set_stop_signal(state: State, instruction: Instruction) -> None:
    state.stop_signal = substitute(instruction.text, state.variables)


def add_ports(state: State, instruction: Instruction) -> None:
    state.ports += shlex.split(substitute(instruction.text, state.variables))


def command_of(text: str) -> list[str]:
    """Read the exec form, `["a", "b"]`, or the shell form."""
    return list(json.loads(text)) if text.startswith("[") else ["/bin/sh", "-c", text]


CONFIGURE: dict[str, Callable[[State, Instruction], None]] = {
    "ARG": set_argument,
    "CMD": set_command,
    "ENV": set_environment,
    "EXPOSE": add_ports,
    "HEALTHCHECK": set_health,
    "LABEL": set_labels,
    "STOPSIGNAL": set_stop_signal,
    "USER": set_user,
}
