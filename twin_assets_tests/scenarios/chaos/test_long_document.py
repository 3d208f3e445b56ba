"""A document whose embedding takes many heartbeats: the run beats on, and nobody takes its place."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from dagster import DagsterInstance

from twin_assets.defs.jobs import stream_features
from twin_assets.defs.names import END_TAG
from twin_assets.defs.resources import TwinResource
from twin_assets.defs.runs import read_beating_runs
from twin_assets.processing.hash_encoder import HashEncoder
from twin_assets_tests.scenarios.documents import post, words
from twin_assets_tests.scenarios.processes import environment_of
from twin_assets_tests.waiting import wait_until

pytestmark = [
    pytest.mark.servers,
    pytest.mark.slow,
    pytest.mark.chaos,
    pytest.mark.nightly,
    pytest.mark.timeout(900),
]

INTERVAL_S, LIMIT_S = 0.5, 10
# One slice of sixteen chunks alone takes longer than a run may be silent, and the document has more of them.
SLICE_S = 1.2 * LIMIT_S
LONG_WORDS = 150
WAIT_S = 120.0


@pytest.fixture
def instance(tmp_path, settings, monkeypatch):
    """A Dagster whose runs find the servers in the environment, as they do everywhere."""
    quick = settings.model_copy(update={"heartbeat_interval_s": INTERVAL_S, "heartbeat_limit_s": LIMIT_S})
    for name, value in environment_of(quick).items():
        monkeypatch.setenv(name, value)
    with DagsterInstance.local_temp(str(tmp_path)) as on_disk:
        yield on_disk


def test_no_heartbeat_is_missed_while_a_long_document_is_embedded(
    instance, twin, documents, capturing, tally, monkeypatch
):
    slices: list[int] = []
    original = HashEncoder.encode

    def busy(self, texts):
        """Compute as a slow model in Python would: without a moment's rest."""
        if any("endless" in text for text in texts):
            slices.append(len(texts))
            end = time.monotonic() + SLICE_S
            while time.monotonic() < end:
                pass
        return original(self, texts)

    def watch() -> list[float]:
        """Return the ages of the beats, as a sensor reads them, from the first slice to the last."""
        try:
            (run,) = wait_until(lambda: read_beating_runs(instance), what="the run beats", limit_s=WAIT_S)
            tally.in_step()
            documents.posts.insert_one(post(1, words(LONG_WORDS, prefix="endless")))
            wait_until(lambda: slices, what="the document is in hand", limit_s=WAIT_S)
            tally.fault()
            ages = watch_until_applied(run.run_id)
            monkeypatch.setattr(HashEncoder, "encode", original)
            tally.settle()
        finally:
            for each in instance.get_runs():
                instance.add_run_tags(each.run_id, {END_TAG: "the test has seen enough"})
        return ages

    def watch_until_applied(run_id: str) -> list[float]:
        ages: list[float] = []

        def is_applied() -> bool:
            (view,) = read_beating_runs(instance)
            assert view.run_id == run_id
            ages.append(time.time() - view.beat_s)
            return (twin.meta.watermark(4) or 0) >= target

        target = twin.source.now()
        wait_until(is_applied, what="the document is applied", limit_s=WAIT_S)
        return ages

    monkeypatch.setattr(HashEncoder, "encode", busy)
    with capturing(), ThreadPoolExecutor(1) as pool:
        watching = pool.submit(watch)
        result = stream_features.execute_in_process(instance=instance, resources={"twin": TwinResource()})
        ages = watching.result()
    assert result.success
    assert len(slices) > 1, slices
    assert max(ages) < LIMIT_S, max(ages)
    assert twin.dead_letters.count() == 0
