"""MongoDB's clock: the one that stamps commits, so that ages do not depend on the clocks of other hosts."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from twin_assets.source.client import Client, translate_errors

TRUSTED_S = 60.0


class ServerClock:
    """Tells the primary's wall-clock time, which it asks for once a minute.

    Right to half the time that the question takes. Raises SourceUnavailable where MongoDB does not answer.
    """

    def __init__(self, client: Client, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._client = client
        self._clock = clock
        self._asked: tuple[float, datetime] | None = None

    def now(self) -> datetime:
        """Return the time on the primary's host."""
        if self._asked is None or self._clock() - self._asked[0] > TRUSTED_S:
            self._asked = self._ask()
        asked_s, told = self._asked
        return told + timedelta(seconds=self._clock() - asked_s)

    def _ask(self) -> tuple[float, datetime]:
        began = self._clock()
        with translate_errors(self._client):
            told: datetime = self._client.admin.command("hello")["localTime"]
        return (began + self._clock()) / 2, told.astimezone(UTC)
