"""Runs the package's own steps one effect at a time, by running them again with what they were told before.

The steps are deterministic: what they ask for next depends on the answers so far alone. So a program under
way is nothing but the list of its answers, and can be held, copied and continued at any point.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from twin_assets_tests.protocol.interning import Interned

DONE = -1
FAILED = -2


@dataclass(frozen=True)
class Request:
    """One effect on the world: the part of it that is asked, what for, and with which arguments."""

    part: str
    name: str
    collection: str = ""
    arguments: tuple[Any, ...] = ()


@dataclass(frozen=True)
class Raised:
    """An answer that is an error."""

    error: Exception


class Paused(BaseException):
    """Raised out of a program that has asked something new."""


class Door:
    """What a program asks the world through: repeats old answers, then pauses at the next request."""

    def __init__(self, answers: list[Any]) -> None:
        self._answers = iter(answers)
        self.request: Request | None = None

    def ask(self, request: Request) -> Any:
        if self.request is not None:
            raise Paused  # clean-up behind a pause asks in vain
        try:
            answer = next(self._answers)
        except StopIteration:
            self.request = request
            raise Paused from None
        if isinstance(answer, Raised):
            raise answer.error
        return answer


Program = Callable[[Door], object]


@dataclass
class Node:
    """A program after some answers: its next request, by number, or DONE or FAILED."""

    program: int
    answers: tuple[int, ...]
    request: int
    children: dict[int, int] = field(default_factory=dict)


class Programs:
    """All programs, and every point that any of them has been seen at."""

    def __init__(self, programs: dict[str, Program], *, failures: tuple[type[Exception], ...]) -> None:
        self.requests = Interned()
        self.answers = Interned()
        self.nodes: list[Node] = []
        self._programs = list(programs.values())
        self._failures = failures
        self.roots = {name: self._add(number, ()) for number, name in enumerate(programs)}

    def after(self, node: int, answer: int) -> int:
        """Return where a program stands after one more answer."""
        here = self.nodes[node]
        if answer not in here.children:
            here.children[answer] = self._add(here.program, (*here.answers, answer))
        return here.children[answer]

    def _add(self, program: int, answers: tuple[int, ...]) -> int:
        self.nodes.append(Node(program, answers, self._next_request(program, answers)))
        return len(self.nodes) - 1

    def _next_request(self, program: int, answers: tuple[int, ...]) -> int:
        door = Door([self.answers.values[answer] for answer in answers])
        try:
            self._programs[program](door)
        except Paused:
            assert door.request is not None
            return self.requests.number(door.request)
        except self._failures:
            return FAILED
        return DONE
