from __future__ import annotations

from collections.abc import Callable, Collection

from twin_assets.broker.consumer import Delivery
from twin_assets.models.change import Change
from twin_assets.models.kinds import DataType
from twin_assets.stream.intake import (
    LARGEST_SHARE,
    LONGEST_ROUND_S,
    ROUND_S,
    SUSPECT_ATTEMPTS,
    Intake,
    Pace,
)


class FakeInbox:
    """Queues in memory; remembers what was acknowledged."""

    def __init__(self, **queues: list[Delivery]) -> None:
        self._queues = {int(name[1:]): list(deliveries) for name, deliveries in queues.items()}
        self.acknowledged: list[int] = []
        self.waits = 0

    def poll(self, queue: int, limit: int) -> list[Delivery]:
        taken, self._queues[queue] = self._queues[queue][:limit], self._queues[queue][limit:]
        return taken

    def wait(self, timeout_s: float) -> bool:
        self.waits += 1
        return any(self._queues.values())

    def acknowledge(self, deliveries: Collection[Delivery]) -> None:
        self.acknowledged += [delivery.tag for delivery in deliveries]


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def delivery(tag: int, *, queue: int = 0, attempts: int = 0) -> Delivery:
    change = Change(type=DataType.POSTS, entry=f"int:{tag}", revision=1)
    return Delivery(queue=queue, tag=tag, epoch=1, attempts=attempts, message=change, body=b"")


def pace(share: int) -> Pace:
    found = Pace(clock=Clock())
    found.share = share
    return found


def tags(deliveries: list[Delivery]) -> list[int]:
    return [found.tag for found in deliveries]


def test_trusted_deliveries_come_in_order_and_in_shares():
    intake = Intake(FakeInbox(q0=[delivery(1), delivery(2), delivery(3)]), queues=[0], pace=pace(2))
    assert tags(intake.take(0)) == [1, 2]
    assert tags(intake.take(0)) == [3]


def test_a_suspect_is_taken_alone_once_everything_before_it_is_settled():
    suspect = delivery(2, attempts=SUSPECT_ATTEMPTS)
    inbox = FakeInbox(q0=[delivery(1), suspect, delivery(3)], q1=[delivery(9, queue=1)])
    intake = Intake(inbox, queues=[0, 1], pace=pace(8))
    first = intake.take(0)
    assert tags(first) == [1]
    assert tags(intake.take(0)) == []
    assert tags(intake.take(1)) == []
    intake.settle(first)
    assert tags(intake.take(1)) == []
    assert tags(intake.take(0)) == [2]
    assert tags(intake.take(0)) == []
    assert tags(intake.take(1)) == []
    intake.settle([suspect])
    assert tags(intake.take(0)) == [3]
    assert tags(intake.take(1)) == [9]
    assert inbox.acknowledged == [1, 2]


def test_two_suspects_follow_each_other():
    first, second = (delivery(tag, attempts=SUSPECT_ATTEMPTS) for tag in (1, 2))
    intake = Intake(FakeInbox(q0=[first, second]), queues=[0], pace=pace(8))
    assert tags(intake.take(0)) == [1]
    intake.settle([first])
    assert tags(intake.take(0)) == [2]


def test_the_inbox_is_waited_for_only_when_nothing_is_in_hand():
    inbox = FakeInbox(q0=[delivery(1)])
    intake = Intake(inbox, queues=[0], pace=pace(8))
    intake.wait(0.1)
    taken = intake.take(0)
    intake.wait(0.1)
    intake.settle(taken)
    intake.wait(0.1)
    assert inbox.waits == 2


def take_round(pace: Pace, clock: Clock, *, waiting: int, cost_s: Callable[[int], float]) -> int:
    """Let one queue's waiting deliveries make a round, and return how many it took."""
    taken = min(waiting, pace.share)
    pace.take(taken)
    clock.now += cost_s(taken)
    pace.end()
    return taken


def test_the_share_grows_after_quick_rounds_and_shrinks_after_slow_ones():
    clock = Clock()
    pace = Pace(clock=clock)
    for _ in range(10):
        take_round(pace, clock, waiting=1000, cost_s=lambda _: 0.1)
    assert pace.share == LARGEST_SHARE
    take_round(pace, clock, waiting=1, cost_s=lambda _: 5)
    assert pace.share == LARGEST_SHARE // 2


def test_rounds_grow_until_a_backlog_shrinks_where_each_round_costs_more_than_its_deliveries():
    clock = Clock()
    pace = Pace(clock=clock)
    waiting, arrivals_per_s = 500.0, 5.0
    for _ in range(60):
        began = clock.now
        waiting -= take_round(pace, clock, waiting=int(waiting), cost_s=lambda taken: 1.2 + 0.01 * taken)
        waiting += (clock.now - began) * arrivals_per_s
    assert waiting <= 2 * arrivals_per_s
    assert clock.now < 100


def test_a_backlog_of_costly_documents_is_taken_in_small_rounds():
    clock = Clock()
    pace = Pace(clock=clock)
    for _ in range(20):
        take_round(pace, clock, waiting=1000, cost_s=lambda taken: 20.0 * taken)
    assert pace.share == 1


def test_rounds_that_are_not_full_take_about_a_second_again():
    clock = Clock()
    pace = Pace(clock=clock)
    for _ in range(20):
        take_round(pace, clock, waiting=1000, cost_s=lambda taken: 0.2 * taken)
    share = pace.share
    assert ROUND_S < 0.2 * share < 2 * LONGEST_ROUND_S
    for _ in range(10):
        take_round(pace, clock, waiting=pace.share - 1, cost_s=lambda taken: 0.2 * taken)
    assert pace.share < share
    assert 0.2 * pace.share <= 2 * ROUND_S + 0.2
