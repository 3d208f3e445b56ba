"""From 384 to 768 dimensions while people write and read: MiniLM, then a model of instructor-xl's layout."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest

from twin_assets.errors import ConfigurationError
from twin_assets.faults import FaultPoint
from twin_assets.models.generation import Generation
from twin_assets.models.kinds import DataType, Snapshot
from twin_assets.operations import scan as scan_module
from twin_assets.operations.audit import audit
from twin_assets.operations.checks import CheckResult, evaluate_checks
from twin_assets.operations.features import FeatureStore
from twin_assets.operations.generations import drop, roll_back
from twin_assets.operations.rebuild import rebuild
from twin_assets.operations.watermark import watermark_lag_s
from twin_assets.settings import Settings
from twin_assets_tests.processing.tiny_t5 import write_tiny_t5
from twin_assets_tests.scenarios.chaos.outage import struck_at
from twin_assets_tests.scenarios.documents import post, words
from twin_assets_tests.scenarios.people import await_more, writing

pytestmark = [pytest.mark.servers, pytest.mark.slow, pytest.mark.timeout(600)]

POST = DataType.POSTS
POSTS = 30
NEWS = 1000
PACE_S = 0.3
BEHIND_S = 3.0
SOME_WRITES = 3


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return settings.model_copy(update={"text_model": "all-MiniLM-L6-v2"})


@pytest.fixture
def instructor(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_t5(tmp_path_factory.mktemp("instructor"), dimension=768)


@contextmanager
def reading(settings: Settings) -> Iterator[list[int]]:
    """Search all the time, with a breath in between, and count what each search found."""
    stop, found = threading.Event(), []

    def read() -> None:
        with FeatureStore(settings) as features:
            while not stop.wait(PACE_S):
                found.append(len(features.search(words(3, prefix="p7x"), types=["posts"])))

    with ThreadPoolExecutor(1) as pool:
        reader = pool.submit(read)
        try:
            yield found
        finally:
            stop.set()
        reader.result()


def recipe_check(twin) -> CheckResult:
    (result,) = evaluate_checks(twin, [(Snapshot.VECTOR, POST)], ["has_current_recipe"])
    return result


def keeps_up(twin) -> bool:
    lag_s = watermark_lag_s(twin)
    return lag_s is not None and lag_s <= BEHIND_S


def text_of(twin, generation: Generation, number: int) -> str:
    return " ".join(twin.store.chunk_texts(generation.collection, f"int:{number}"))


def test_readers_and_writers_never_notice_that_the_model_changes(
    twin, settings, documents, capturing, streaming, in_step, instructor, monkeypatch
):
    monkeypatch.setattr(scan_module, "SCAN_BATCH", 4)
    documents.posts.insert_many([post(number, words(30, prefix=f"p{number}x")) for number in range(POSTS)])

    def write_news(text: str) -> None:
        documents.posts.replace_one({"_id": NEWS}, post(NEWS, text), upsert=True)
        in_step()

    def write_in_the_midst() -> None:
        assert twin.live_generation(Snapshot.VECTOR, POST) == old
        write_news("written while the new model is at work")
        assert text_of(twin, old, NEWS) == "written while the new model is at work"

    with capturing(), streaming():
        in_step()
        old = twin.live_generation(Snapshot.VECTOR, POST)
        assert old.recipe.dimension == 384
        assert recipe_check(twin).passed
        twin.settings = settings.model_copy(update={"text_model": str(instructor)})
        wanted = recipe_check(twin)
        assert (wanted.passed, wanted.metadata["current"]) == (False, 0)
        assert wanted.metadata["points"] > POSTS
        assert "twin rebuild posts" in wanted.metadata["note"]
        people = writing(documents, pace_s=PACE_S, may_write=partial(keeps_up, twin))
        with people as written, reading(settings) as found:
            with struck_at(FaultPoint.BATCH_SCANNED, write_in_the_midst) as struck:
                new = rebuild(twin, Snapshot.VECTOR, POST).generation
            assert struck.is_set()
            assert twin.live_generation(Snapshot.VECTOR, POST).collection == new.collection
            assert (new.recipe.dimension, new.recipe.instruction) == (768, settings.text_instruction)
            assert recipe_check(twin).passed
            await_more(written, SOME_WRITES)
        assert found
        assert min(found) > 0
        write_news("written when the old model stood by")
        for generation in (old, new):
            assert text_of(twin, generation, NEWS) == "written when the old model stood by"
            report = audit(twin, generation, with_vectors=True)
            assert (report.differences, report.confirmed) == ({}, True)
        roll_back(twin, Snapshot.VECTOR, POST)
        assert twin.live_generation(Snapshot.VECTOR, POST).recipe.dimension == 384
        drop(twin, new.collection)
        write_news("written for the old model alone")
        assert text_of(twin, old, NEWS) == "written for the old model alone"
        with pytest.raises(ConfigurationError, match="has no standby"):
            roll_back(twin, Snapshot.VECTOR, POST)
