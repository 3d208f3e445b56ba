"""Hands deliveries to the flow and settles them behind it; one that may have crashed us goes alone.

A message that was delivered several times may be what ended the stream, or may only have been in hand
when a connection was lost. Alone in the flow, its guilt can be counted.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Sequence
from typing import Protocol

from twin_assets.broker.consumer import Delivery
from twin_assets.models.change import Change

SUSPECT_ATTEMPTS = 3
ROUND_S = 1.0
LONGEST_ROUND_S = 8.0
LARGEST_SHARE = 64


class Inbox(Protocol):
    """What the intake needs of a consumer."""

    def poll(self, queue: int, limit: int) -> list[Delivery]: ...

    def wait(self, timeout_s: float) -> bool: ...

    def acknowledge(self, deliveries: Collection[Delivery]) -> None: ...


class Pace:
    """How many deliveries of each queue make a round: one of about a second, or of more with a backlog.

    Small rounds show results soon and lose little in a crash; large ones save requests. Only the work
    itself tells which is which, since a document has one chunk or ten thousand. While rounds are full they
    may take longer, each twice as long: where a round costs more than what is in it, only larger ones catch
    up.
    """

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._began: float | None = None
        self._is_full = False
        self._aim_s = ROUND_S
        self.share = 1

    def take(self, deliveries: int) -> None:
        """Note how many of one queue join the round; the first ones begin it."""
        if self._began is None:
            self._began = self._clock()
        self._is_full = self._is_full or deliveries >= self.share

    def end(self) -> None:
        """Double the share after a quick round, halve it after a slow one."""
        if self._began is None:
            return
        seconds, self._began = self._clock() - self._began, None
        self._aim_s = min(LONGEST_ROUND_S, self._aim_s * 2) if self._is_full else ROUND_S
        self._is_full = False
        if seconds < self._aim_s / 2:
            self.share = min(LARGEST_SHARE, self.share * 2)
        elif seconds > self._aim_s * 2:
            self.share = max(1, self.share // 2)


class Intake:
    """Shared by all partitions of one flow, in one thread. At least once, in order per queue."""

    def __init__(self, inbox: Inbox, *, queues: Sequence[int], pace: Pace | None = None) -> None:
        self.queues = list(queues)
        self._inbox = inbox
        self._pace = pace or Pace()
        self._held: dict[int, list[Delivery]] = {queue: [] for queue in queues}
        self._suspect: Delivery | None = None
        self._in_flow = 0

    def take(self, queue: int) -> list[Delivery]:
        """Return the next deliveries of a queue: up to a limit of trusted ones, or a suspect alone."""
        if self._suspect is not None:
            return self._take_suspect(queue)
        found = self._held[queue] or self._inbox.poll(queue, self._pace.share)
        trusted = next((at for at, delivery in enumerate(found) if is_suspect(delivery)), len(found))
        self._held[queue] = found[trusted:]
        if trusted == 0 and found:
            self._suspect = found[0]
            return self._take_suspect(queue)
        if trusted:
            self._pace.take(trusted)
        self._in_flow += trusted
        return found[:trusted]

    def settle(self, deliveries: Collection[Delivery]) -> None:
        """Acknowledge what has been written."""
        self._inbox.acknowledge(deliveries)
        self._in_flow -= len(deliveries)
        if self._in_flow == 0:
            self._pace.end()
        if self._suspect in deliveries:
            self._suspect = None

    def wait(self, timeout_s: float) -> None:
        """Wait for a delivery, unless some are in hand."""
        if self._in_flow == 0 and not any(self._held.values()):
            self._inbox.wait(timeout_s)

    def _take_suspect(self, queue: int) -> list[Delivery]:
        held = self._held[queue]
        if self._in_flow or not held or held[0] is not self._suspect:
            return []
        self._in_flow += 1
        return [held.pop(0)]


def is_suspect(delivery: Delivery) -> bool:
    """Tell whether a change has come back so often that it is taken alone."""
    return delivery.attempts >= SUSPECT_ATTEMPTS and isinstance(delivery.message, Change)
