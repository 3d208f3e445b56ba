"""What capture and stream tell a tracer: when a change was sent, and what became of it.

A traced change carries two headers through its queue, never a word of its text: whose trace it belongs to,
and when it was sent.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from twin_assets.models.change import Change

Headers = Mapping[str, str]


@dataclass(frozen=True)
class Step:
    """One step of the flow over one round; times in ns since the epoch."""

    name: str
    began_ns: int
    ended_ns: int


@dataclass
class Stopwatch:
    """The steps of one round, in their order."""

    steps: list[Step] = field(default_factory=list)

    @contextmanager
    def timing(self, name: str) -> Iterator[None]:
        """Note how long a step takes, whatever becomes of it."""
        began_ns = time.time_ns()
        try:
            yield
        finally:
            self.steps.append(Step(name, began_ns, time.time_ns()))


@dataclass(frozen=True)
class Applied:
    """One change that has become searchable; times in ns since the epoch.

    `rejected_while` names the stage that refused its document, empty where none did; the figures are those of
    the whole round that it went through.
    """

    change: Change
    headers: Headers
    taken_ns: int
    rejected_while: str
    round_documents: int
    round_embedded: int


class CaptureTracer(Protocol):
    """What capture tells."""

    def sending(
        self, changes: Sequence[Change], committed_at: Mapping[str, datetime]
    ) -> AbstractContextManager[Mapping[str, Headers]]:
        """Yield the headers of each traced change, by its key, until the broker has confirmed all."""


class StreamTracer(Protocol):
    """What a stream tells."""

    def applied(self, changes: Sequence[Applied], steps: Sequence[Step]) -> None:
        """Take note of traced changes, once everything of their round is written and acknowledged."""


class NoTraces:
    """Tells nobody."""

    def sending(
        self,
        changes: Sequence[Change],  # noqa: ARG002
        committed_at: Mapping[str, datetime],  # noqa: ARG002
    ) -> AbstractContextManager[Mapping[str, Headers]]:
        """Trace nothing."""
        return nullcontext({})

    def applied(self, changes: Sequence[Applied], steps: Sequence[Step]) -> None:
        """Take no note."""


NO_TRACES = NoTraces()
