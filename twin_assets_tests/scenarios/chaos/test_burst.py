"""Thousands of changes while nobody streams: they drain in order and bounded, and the lag is told truly."""

from __future__ import annotations

import random
import time
from collections import defaultdict

import pytest

from twin_assets.broker.consumer import Delivery
from twin_assets.broker.depth import queue_depths
from twin_assets.models.change import Change, Marker
from twin_assets.operations.watermark import watermark_lag_s
from twin_assets.stream.intake import Intake
from twin_assets_tests.scenarios.documents import post
from twin_assets_tests.waiting import wait_until

pytestmark = [pytest.mark.servers, pytest.mark.slow, pytest.mark.chaos, pytest.mark.timeout(900)]

SEED = 20
DRAIN_S = 600.0
# The position is told in whole seconds, and a marker waits behind the changes that are in hand.
CLOCK_S = 3.0


@pytest.mark.parametrize(
    "changes", [pytest.param(3_000, id="3000"), pytest.param(20_000, id="20000", marks=pytest.mark.nightly)]
)
def test_a_burst_drains_in_order_and_bounded_and_its_lag_is_told_truly(
    changes, twin, settings, documents, capturing, streaming, in_step, tally, monkeypatch
):
    with capturing():
        with streaming():
            here_until = time.monotonic()
            in_step()
        away_since = time.monotonic()
        tally.fault()
        burst(documents, changes)
        wait_until(lambda: queued(settings) >= changes, what="all wait", limit_s=DRAIN_S)
        wait_until(lambda: (watermark_lag_s(twin) or 0) > 2 * CLOCK_S, what="the lag grows", limit_s=60)
        told_s, now = watermark_lag_s(twin), time.monotonic()
        assert now - away_since - CLOCK_S <= told_s <= now - here_until + CLOCK_S
        drain, target = Drain(monkeypatch), twin.source.now()
        with streaming():
            watermarks = watch_until(twin, target)
            wait_until(lambda: watermark_lag_s(twin) <= CLOCK_S, what="the lag is gone", limit_s=60)
            tally.settle()
    assert sum(map(len, drain.tags.values())) > changes
    assert watermarks == sorted(watermarks)
    assert all(tags == sorted({*tags}) for tags in drain.tags.values())
    assert drain.broken_markers() == []
    assert max(drain.in_hand) == settings.rabbitmq_prefetch
    assert twin.dead_letters.count() == 0


def queued(settings) -> int:
    return queue_depths(settings.require_url("rabbitmq_url"), settings.rabbitmq_queues).total


def burst(documents, changes: int) -> None:
    """Write each document once: of several changes in one batch, the capture publishes the last."""
    numbers = list(range(changes))
    random.Random(SEED).shuffle(numbers)
    documents.posts.insert_many([post(number, f"the text of {number}") for number in numbers])


def watch_until(twin, target: int) -> list[int]:
    """Return every watermark that is seen until it passes `target`."""
    seen: list[int] = []

    def has_passed() -> bool:
        seen.append(twin.meta.watermark(twin.settings.rabbitmq_queues) or 0)
        return seen[-1] >= target

    wait_until(has_passed, what="the burst is drained", limit_s=DRAIN_S)
    return seen


class Drain:
    """Notes every delivery that the flow takes, and how many of its queue are unacknowledged then."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.tags: dict[int, list[int]] = defaultdict(list)
        self.messages: dict[int, list[Change | Marker]] = defaultdict(list)
        self.in_hand: list[int] = []
        original = Intake.take

        def take(intake: Intake, queue: int) -> list[Delivery]:
            taken = original(intake, queue)
            self.in_hand.append(len(intake._inbox._links[queue]._unacknowledged))
            self.tags[queue] += [delivery.tag for delivery in taken]
            self.messages[queue] += [delivery.message for delivery in taken]
            return taken

        monkeypatch.setattr(Intake, "take", take)

    def broken_markers(self) -> list[tuple[Marker, Change | Marker]]:
        """Return what follows a marker of its queue although the marker says that it stands before it.

        Changes within one window of confirms may change places: only the markers' order is a promise.
        """
        found: list[tuple[Marker, Change | Marker]] = []
        for messages in self.messages.values():
            last: Marker | None = None
            for message in messages:
                if last is not None and _revision_of(message) < last.position + isinstance(message, Change):
                    found.append((last, message))
                last = message if isinstance(message, Marker) else last
        return found


def _revision_of(message: Change | Marker) -> int:
    return message.revision if isinstance(message, Change) else message.position
