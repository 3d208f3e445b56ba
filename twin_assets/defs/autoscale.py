"""How many stream runs there should be, by what waits in the queues; a sensor's cursor remembers it.

Every change ends all runs and starts others, since each owns a share of the queues; so the number doubles and
halves, only when what asks for it has lasted, and not again before the new runs had their chance.
"""

from __future__ import annotations

from dataclasses import dataclass

from pydantic import ValidationError

from twin_assets.errors import BrokerUnavailable, ConfigurationError
from twin_assets.models.base import TwinModel
from twin_assets.settings import Settings

# Messages that wait in RabbitMQ, beside those that a run has in hand: seconds of work for one with MiniLM.
BUSY_PER_REPLICA = 200
QUIET_BELOW = 20
BUSY_S = 30.0
QUIET_S = 600.0
# The new runs have to start, load their models and catch up with what waited meanwhile.
PAUSE_S = 120.0


class Scale(TwinModel):
    """The present number and since when something speaks for another; times in s since the epoch."""

    replicas: int
    changed_s: float = 0.0
    busy_since_s: float | None = None
    quiet_since_s: float | None = None

    def after(self, waiting: int, *, now_s: float, least: int, most: int) -> Scale:
        """Return what holds now that `waiting` messages wait."""
        is_busy = waiting > BUSY_PER_REPLICA * self.replicas
        busy = _since(self.busy_since_s, now_s) if is_busy else None
        quiet = _since(self.quiet_since_s, now_s) if waiting < QUIET_BELOW else None
        wanted = self.replicas
        if now_s - self.changed_s >= PAUSE_S:
            if busy is not None and now_s - busy >= BUSY_S:
                wanted *= 2
            elif quiet is not None and now_s - quiet >= QUIET_S:
                wanted = (wanted + 1) // 2
        wanted = max(least, min(most, wanted))
        if wanted != self.replicas:
            return Scale(replicas=wanted, changed_s=now_s)
        return Scale(replicas=wanted, changed_s=self.changed_s, busy_since_s=busy, quiet_since_s=quiet)


@dataclass(frozen=True)
class Desired:
    """How many replicas there should be now, what the next tick has to know, and why, in one line."""

    replicas: int
    cursor: str | None = None
    note: str = ""


def desired_replicas(settings: Settings, cursor: str | None, *, now_s: float) -> Desired:
    """Return TWIN_STREAM_REPLICAS, or where TWIN_STREAM_REPLICAS_MAX is more, a number by what waits."""
    least = settings.stream_replicas
    most = min(settings.stream_replicas_max, settings.rabbitmq_queues)
    if most <= least:
        return Desired(least)
    from twin_assets.broker.depth import queue_depths

    scale = _remembered(cursor, least=least, most=most)
    try:
        depths = queue_depths(settings.require_url("rabbitmq_url"), settings.rabbitmq_queues)
    except (BrokerUnavailable, ConfigurationError) as error:
        # Who cannot see what waits does not know how long it has, either.
        scale = Scale(replicas=scale.replicas, changed_s=scale.changed_s)
        return Desired(
            scale.replicas,
            scale.model_dump_json(),
            f"{scale.replicas} of {least} to {most} replicas; {error}",
        )
    scale = scale.after(depths.total, now_s=now_s, least=least, most=most)
    note = f"{scale.replicas} of {least} to {most} replicas, {depths.total} messages wait"
    return Desired(scale.replicas, scale.model_dump_json(), note)


def _remembered(cursor: str | None, *, least: int, most: int) -> Scale:
    try:
        scale = Scale.model_validate_json(cursor or "")
    except ValidationError:
        return Scale(replicas=least)
    return scale.model_copy(update={"replicas": max(least, min(most, scale.replicas))})


def _since(known: float | None, now_s: float) -> float:
    return now_s if known is None else known
