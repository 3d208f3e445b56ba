"""What a run of capture tells of itself."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from twin_assets.operations.rate import Rate

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class CaptureProgress:
    """Counts are of this run. `lag_s` is 0 where all changes are published; `revision` is how far they are.

    `waiting_for` names the server that is down.
    """

    published: int = 0
    dead: int = 0
    recovered: int = 0
    revision: int = 0
    lag_s: float = 0.0
    changes_per_s: float = 0.0
    snapshot_done: bool = False
    waiting_for: str = ""

    def __str__(self) -> str:
        if self.waiting_for:
            return f"waiting for {self.waiting_for}"
        if not self.snapshot_done:
            return f"publishing every document, {self.published} so far"
        return f"{self.published} changes published, {self.lag_s:.0f} s behind"


class CaptureMeter:
    """Keeps the figures of a run and reports each change of them; the log hears when a server is back."""

    def __init__(self, report: Callable[[CaptureProgress], None], clock: Callable[[], float]) -> None:
        self._report = report
        self._rate = Rate(clock)
        self.progress = CaptureProgress()

    def count(self, changes: int, letters: int) -> None:
        """Count what was published and what was put aside."""
        # Nothing published says nothing of the server that is waited for.
        waiting_for = "" if changes or letters else self.progress.waiting_for
        self.update(
            published=self.progress.published + changes,
            dead=self.progress.dead + letters,
            changes_per_s=self._rate.add(changes),
            waiting_for=waiting_for,
        )

    def update(self, **figures: Any) -> None:
        """Set figures by name."""
        waited_for = self.progress.waiting_for
        self.progress = replace(self.progress, **figures)
        if waited_for and not self.progress.waiting_for:
            log.warning("%s is back", waited_for)
        self._report(self.progress)
