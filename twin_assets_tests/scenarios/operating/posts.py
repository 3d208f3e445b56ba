"""Posts on their way from MongoDB to Qdrant, with capture and stream as processes of their own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from pymongo import MongoClient

from twin_assets.models.kinds import DataType
from twin_assets.operations.twin import open_twin
from twin_assets.settings import Settings
from twin_assets_tests.scenarios.assertions import assert_clean
from twin_assets_tests.scenarios.documents import post, words
from twin_assets_tests.scenarios.processes import LongRun, long_run
from twin_assets_tests.waiting import wait_until


@contextmanager
def flow(settings: Settings) -> Iterator[tuple[LongRun, LongRun]]:
    """Capture and stream for the length of a block."""
    with long_run(settings, "capture") as capture, long_run(settings, "stream") as stream:
        yield capture, stream


def insert(settings: Settings, number: int) -> None:
    with MongoClient(settings.require_url("mongodb_url")) as client:
        client[settings.mongodb_database].posts.insert_one(post(number, words(20, prefix=f"p{number}x")))


def await_applied(settings: Settings, number: int) -> None:
    """Wait until a post is searchable."""
    with open_twin(settings) as twin:
        wait_until(
            lambda: any(
                twin.store.chunk_texts(found.collection, f"int:{number}")
                for found in twin.meta.generations(DataType.POSTS)
                if found.snapshot.value == "vector" and twin.collections.exists(found.collection)
            ),
            what=f"post {number} is searchable",
            limit_s=90,
        )


def bring_through(settings: Settings, number: int) -> None:
    """Write a post and wait until it is searchable."""
    insert(settings, number)
    await_applied(settings, number)


def prove(settings: Settings) -> None:
    """Compare everything with MongoDB."""
    with open_twin(settings) as twin:
        assert_clean(twin)
