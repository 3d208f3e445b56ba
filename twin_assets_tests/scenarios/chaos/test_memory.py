"""A stream that works for minutes, or hours where TWIN_TEST_MEMORY_MINUTES says so: its memory stays flat."""

from __future__ import annotations

import os
import random
import statistics
import time

import psutil
import pytest

from twin_assets_tests.scenarios.documents import post, words
from twin_assets_tests.scenarios.processes import long_run

MINUTES = float(os.environ.get("TWIN_TEST_MEMORY_MINUTES", "10"))
pytestmark = [
    pytest.mark.servers,
    pytest.mark.slow,
    pytest.mark.chaos,
    pytest.mark.nightly,
    pytest.mark.timeout(MINUTES * 60 + 900),
]

SEED = 21
CROWD = 100
PER_TURN = 40
TEXT_WORDS = 400
POISON = {"_id": "poison", "platform": "p", "content": {"text": "no author"}}
WARM_UP = 1 / 3
# A turn brings two hundred kilobytes of text, ten minutes bring more than thirty megabytes. Between two times
# that memory is given back it rises and falls by eight.
GROWTH_LIMIT = 0.05


def test_a_stream_that_is_fed_all_the_time_keeps_its_memory(
    twin, settings, documents, capturing, tally, record_property
):
    # Filling the cache of vectors is growth, and not what is looked for.
    settings = settings.model_copy(update={"embedding_cache_mb": 0.0})
    choose, samples = random.Random(SEED), []
    with capturing(), long_run(settings, "stream") as stream:
        worker, end = psutil.Process(stream.process.pid), time.monotonic() + MINUTES * 60
        while time.monotonic() < end:
            write_some(documents, choose)
            tally.fault()
            tally.recover()
            samples.append(worker.memory_info().rss / 1e6)
        documents.posts.delete_one({"_id": POISON["_id"]})
        tally.settle()
        stream.end()
    steady = samples[int(len(samples) * WARM_UP) :]
    slope = statistics.linear_regression(range(len(steady)), steady).slope
    growth = slope * len(steady) / statistics.mean(steady)
    record_property("memory", {"turns": len(samples), "mb": round(steady[-1], 1), "growth": round(growth, 3)})
    assert len(steady) >= 30, "too few turns to tell growth from noise"
    assert growth < GROWTH_LIMIT, " ".join(f"{each:.1f}" for each in samples)


def write_some(documents, choose: random.Random) -> None:
    """Replace documents by others of another length, and write one that is refused."""
    for _ in range(PER_TURN):
        number = choose.randrange(CROWD)
        text = words(choose.randrange(1, TEXT_WORDS), prefix=f"{choose.random()}x")
        documents.posts.replace_one({"_id": number}, post(number, text), upsert=True)
    documents.posts.replace_one({"_id": POISON["_id"]}, {**POISON, "n": choose.random()}, upsert=True)
