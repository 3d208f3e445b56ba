"""Bytewax sink into Qdrant.

Parallelism: one partition per worker, and one worker per replica. Delivery: what was read is
acknowledged only after every generation holds it; a crash before that brings it again.
"""

from __future__ import annotations

from bytewax.outputs import DynamicSink, StatelessSinkPartition

from twin_assets.stream.round import Round
from twin_assets.stream.steps import StreamSteps


class FeatureSink(DynamicSink[Round]):
    """Writes rounds into every generation, then settles them."""

    def __init__(self, steps: StreamSteps) -> None:
        self._steps = steps

    def build(self, step_id: str, worker_index: int, worker_count: int) -> _FeaturePartition:  # noqa: ARG002
        """Return the worker's partition."""
        return _FeaturePartition(self._steps)


class _FeaturePartition(StatelessSinkPartition[Round]):
    def __init__(self, steps: StreamSteps) -> None:
        self._steps = steps

    def write_batch(self, items: list[Round]) -> None:
        self._steps.write(items)
