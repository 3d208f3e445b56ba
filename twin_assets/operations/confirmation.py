"""Tells a difference from a write under way, which is none.

What seems to differ counts only if it still stands, in the same state, once everything that was committed
before it was seen has been applied.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from twin_assets.operations.differences import ALLOWED, Difference, Finding
from twin_assets.operations.look import Look
from twin_assets.operations.twin import Twin
from twin_assets.operations.watermark import await_watermark

ROUNDS = 5
Accept = Callable[[Difference, str], None]


@dataclass(frozen=True)
class Outcome:
    """`confirmed` is False where the watermark did not pass in time; `in_flight` never stood still."""

    confirmed: bool
    in_flight: int = 0


class Confirmation:
    """Looks again at suspects until each stands or is gone; hands what stands to `accept`, each once."""

    def __init__(
        self,
        twin: Twin,
        look: Look,
        accept: Accept,
        *,
        until_s: float,
        moving_s: float = 0,
        clock: Callable[[], float] = time.monotonic,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        self._twin = twin
        self._look = look
        self._report = accept
        self._until_s = until_s
        self._moving_s = moving_s
        self._clock = clock
        self._pause = pause
        self._accepted: set[tuple[Difference, str]] = set()

    def run(self, suspects: Mapping[str, Finding]) -> Outcome:
        """Report what stands; waits for the watermark once per round.

        All rounds end at `until_s`, and later only while the watermark moves at least every `moving_s`.
        """
        for _ in range(ROUNDS):
            suspects = self._accept(suspects, ALLOWED)
            if not suspects:
                return Outcome(confirmed=True)
            if not self._await(self._twin.source.now()):
                self._accept(suspects, frozenset(Difference))
                return Outcome(confirmed=False)
            suspects = self._look_again(suspects)
        return Outcome(confirmed=True, in_flight=len(self._accept(suspects, ALLOWED)))

    def _await(self, revision: int) -> bool:
        return await_watermark(
            self._twin,
            revision,
            until_s=self._until_s,
            moving_s=self._moving_s,
            clock=self._clock,
            pause=self._pause,
        )

    def _look_again(self, suspects: Mapping[str, Finding]) -> dict[str, Finding]:
        remaining: dict[str, Finding] = {}
        for entry, found in self._look(list(suspects)).items():
            before = suspects[entry]
            stands = before.kinds if found.is_same_state(before) else frozenset()
            remaining |= self._accept({entry: found}, stands)
        return remaining

    def _accept(self, suspects: Mapping[str, Finding], kinds: frozenset[Difference]) -> dict[str, Finding]:
        """Report the findings of these kinds and return the rest."""
        remaining = {}
        for entry, found in suspects.items():
            for kind in sorted(found.kinds & kinds):
                if (kind, entry) not in self._accepted:
                    self._accepted.add((kind, entry))
                    self._report(kind, entry)
            if found.kinds - kinds:
                remaining[entry] = replace(found, kinds=found.kinds - kinds)
        return remaining
