"""`/metrics` of one long run, for Prometheus; off unless TWIN_METRICS_PORT is set.

Prometheus asks and the run's last progress answers: nothing is counted twice, and a run that nobody asks pays
nothing.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from importlib.metadata import version
from typing import TYPE_CHECKING, Generic, TypeVar

from twin_assets.telemetry.figures import REPORT_AGE, Figure, Sample

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry
    from prometheus_client.core import Metric

    from twin_assets.settings import Settings

CAPTURE_OFFSET = 0
FIRST_STREAM_OFFSET = 1
STOP_S = 5.0

ProgressT = TypeVar("ProgressT")
Report = Callable[[ProgressT], None]

log = logging.getLogger(__name__)


class ProgressCollector(Generic[ProgressT]):
    """Turns the last progress of a run into metrics whenever it is asked."""

    def __init__(
        self,
        samples_of: Callable[[ProgressT], Iterable[Sample]],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._samples_of = samples_of
        self._clock = clock
        self._last: tuple[ProgressT, float] | None = None

    def update(self, progress: ProgressT) -> None:
        """Take the newest progress."""
        self._last = (progress, self._clock())

    def collect(self) -> Iterator[Metric]:
        """Yield what Prometheus gets; nothing before the first progress."""
        if self._last is None:
            return
        progress, at = self._last
        families: dict[Figure, list[Sample]] = {}
        for sample in (*self._samples_of(progress), (REPORT_AGE, "", self._clock() - at)):
            families.setdefault(sample[0], []).append(sample)
        for figure, samples in families.items():
            yield _family(figure, samples)


@contextmanager
def serving_metrics(
    settings: Settings,
    *,
    offset: int,
    samples_of: Callable[[ProgressT], Iterable[Sample]],
    report: Report[ProgressT],
) -> Iterator[Report[ProgressT]]:
    """Yield a report that tells Prometheus too. `offset` is added to the port: several runs share a machine.

    Where the port cannot be had, one warning says so and the run goes on: it is worth more than its figures.
    """
    if not settings.metrics_port:
        yield report
        return
    from prometheus_client import start_http_server  # noqa: PLC0415 - only who is asked for figures needs it

    collector = ProgressCollector(samples_of)
    port = settings.metrics_port + offset
    try:
        server, thread = start_http_server(port, settings.metrics_host, registry=_registry(collector))
    except OSError as error:
        log.warning(
            "no metrics: %s:%d cannot be had (%s); set TWIN_METRICS_PORT to another one",
            settings.metrics_host, port, error.strerror,
        )  # fmt: skip
        yield report
        return

    def tell_both(progress: ProgressT) -> None:
        collector.update(progress)
        report(progress)

    try:
        yield tell_both
    finally:
        server.shutdown()
        server.server_close()
        thread.join(STOP_S)


def _registry(collector: ProgressCollector[ProgressT]) -> CollectorRegistry:
    from prometheus_client import CollectorRegistry, Info, PlatformCollector, ProcessCollector  # noqa: PLC0415 - the same

    registry = CollectorRegistry()
    registry.register(collector)
    ProcessCollector(registry=registry)
    PlatformCollector(registry=registry)
    Info("twin_build", "What runs here", registry=registry).info({"version": version("twin_assets")})
    return registry


def _family(figure: Figure, samples: Iterable[Sample]) -> Metric:
    from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily  # noqa: PLC0415 - the same

    kind = CounterMetricFamily if figure.kind == "counter" else GaugeMetricFamily
    family = kind(figure.name, figure.help, labels=[figure.label] if figure.label else [])
    for _, label, value in samples:
        family.add_metric([label] if figure.label else [], value)
    return family
