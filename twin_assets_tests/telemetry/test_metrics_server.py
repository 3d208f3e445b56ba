from __future__ import annotations

import json
import logging
import re
import socket
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from twin_assets.models.change import REVISION_BITS
from twin_assets.operations.batch import Counts
from twin_assets.operations.capture_progress import CaptureProgress
from twin_assets.settings import Settings
from twin_assets.stream.steps import StreamProgress
from twin_assets.telemetry.figures import FIGURES, capture_samples, stream_samples
from twin_assets.telemetry.metrics_server import ProgressCollector, serving_metrics
from twin_assets_tests.free_ports import free_port

ROOT = Path(__file__).parents[2]
NAME = re.compile(r"\btwin_[a-z_]+")
STREAM = StreamProgress(
    Counts(documents=9, unchanged=3, deleted=1, chunks_embedded=20, chunks_reused=5, chunks_recalled=2),
    chunks_per_s=12.5,
    watermark=1000 << REVISION_BITS,
    waiting_for="Qdrant",
    dead_letters=4,
)


def exported_names() -> set[str]:
    """Every metric as Prometheus knows it."""
    return {f"{each.name}_total" if each.kind == "counter" else each.name for each in FIGURES} | {
        "twin_build_info"
    }


def metrics(port: int) -> dict[tuple[str, str], float]:
    """What is answered, by name and label."""
    text = httpx.get(f"http://127.0.0.1:{port}/metrics").raise_for_status().text
    return {
        (sample.name, next(iter(sample.labels.values()), "")): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name.startswith("twin_")
    }


@pytest.fixture
def settings() -> Settings:
    return Settings(_env_file=None, metrics_port=free_port())


def test_a_stream_tells_prometheus_and_whoever_else_listens(settings: Settings):
    told: list[StreamProgress] = []
    with serving_metrics(settings, offset=0, samples_of=stream_samples, report=told.append) as tell:
        assert set(metrics(settings.metrics_port)) == {("twin_build_info", metrics_version(settings))}
        tell(STREAM)
        found = metrics(settings.metrics_port)
    assert told == [STREAM]
    assert found["twin_documents_total", "changed"] == 5
    assert found["twin_documents_total", "unchanged"] == 3
    assert found["twin_documents_total", "deleted"] == 1
    assert [found["twin_chunks_total", each] for each in ("encoder", "generation", "cache")] == [20, 5, 2]
    assert found["twin_embedding_chunks_per_second", ""] == 12.5
    assert found["twin_dead_letters_total", ""] == 4
    assert [found["twin_waiting", each] for each in ("MongoDB", "RabbitMQ", "Qdrant")] == [0, 0, 1]
    assert found["twin_applied_age_seconds", ""] > 1e9
    assert 0 <= found["twin_report_age_seconds", ""] < 60


def metrics_version(settings: Settings) -> str:
    [(_, version)] = [key for key in metrics(settings.metrics_port) if key[0] == "twin_build_info"]
    return version


def test_a_capture_tells_how_far_it_is(settings: Settings):
    progress = CaptureProgress(published=7, dead=1, recovered=2, lag_s=3.5)
    with serving_metrics(settings, offset=0, samples_of=capture_samples, report=lambda _: None) as tell:
        tell(progress)
        found = metrics(settings.metrics_port)
    assert found["twin_published_changes_total", ""] == 7
    assert found["twin_published_age_seconds", ""] == 3.5
    assert found["twin_recoveries_total", ""] == 2
    assert found["twin_dead_letters_total", ""] == 1


def test_the_age_of_a_report_grows_and_a_position_that_is_not_known_is_not_told():
    times: Iterator[float] = iter([100.0, 107.0])
    collector = ProgressCollector(stream_samples, clock=lambda: next(times))
    collector.update(StreamProgress(Counts()))
    families = {family.name: family for family in collector.collect()}
    assert families["twin_report_age_seconds"].samples[0].value == 7.0
    assert "twin_applied_age_seconds" not in families


def test_nothing_listens_unless_it_is_asked_for(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("prometheus_client.start_http_server", None)
    told: list[int] = []
    silent = Settings(_env_file=None)
    with serving_metrics(silent, offset=0, samples_of=stream_samples, report=told.append) as tell:
        tell(1)  # type: ignore[arg-type]
    assert told == [1]


def test_the_port_is_free_again_afterwards(settings: Settings):
    for _ in range(2):
        with serving_metrics(settings, offset=0, samples_of=stream_samples, report=lambda _: None):
            assert metrics(settings.metrics_port)


def test_a_port_that_is_taken_costs_the_metrics_and_not_the_run(
    settings: Settings, caplog: pytest.LogCaptureFixture
):
    told: list[StreamProgress] = []
    with socket.socket() as taken, caplog.at_level(logging.WARNING):
        taken.bind(("127.0.0.1", settings.metrics_port))
        taken.listen()
        with serving_metrics(settings, offset=0, samples_of=stream_samples, report=told.append) as tell:
            tell(STREAM)
    assert told == [STREAM]
    [record] = caplog.records
    assert str(settings.metrics_port) in record.getMessage()
    assert "set TWIN_METRICS_PORT to another one" in record.getMessage()


def test_replicas_on_one_machine_have_ports_of_their_own(settings: Settings):
    first = settings.model_copy(update={"metrics_port": free_port() - 1})
    with (
        serving_metrics(first, offset=1, samples_of=stream_samples, report=lambda _: None),
        serving_metrics(settings, offset=0, samples_of=capture_samples, report=lambda _: None),
    ):
        assert metrics(first.metrics_port + 1)
        assert metrics(settings.metrics_port)


def test_the_dashboard_shows_every_metric_and_no_other():
    dashboard = json.loads((ROOT / "deploy/grafana/twin_assets.json").read_text())
    expressions = [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]
    assert {name for each in expressions for name in NAME.findall(each)} - {"twin_assets"} == exported_names()
    assert len({panel["id"] for panel in dashboard["panels"]}) == len(dashboard["panels"])


def test_the_alerts_name_what_there_is_and_the_page_says_what_to_do():
    rules = yaml.safe_load((ROOT / "deploy/prometheus/alerts.yaml").read_text())["groups"][0]["rules"]
    named = {name for rule in rules for name in NAME.findall(rule["expr"])}
    assert named
    assert named <= exported_names()
    page = (ROOT / "docs/metrics.md").read_text()
    for rule in rules:
        assert f"`{rule['alert']}`" in page
        assert rule["annotations"]["summary"]
    for name in exported_names():
        assert f"`{name}" in page, name
