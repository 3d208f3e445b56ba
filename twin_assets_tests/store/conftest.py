from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from twin_assets.models.generation import Generation
from twin_assets.store.generations import GenerationCollections
from twin_assets.store.point_store import PointStore
from twin_assets.store.writer import GenerationWriter
from twin_assets_tests.store.builders import embed, generation, wanted


@pytest.fixture
def store(qdrant_url: str) -> Iterator[PointStore]:
    with PointStore(qdrant_url) as opened:
        collections = GenerationCollections(opened)
        for name in collections.names():
            collections.drop(name)
        yield opened


@pytest.fixture
def vectors(store: PointStore) -> Generation:
    found = generation()
    GenerationCollections(store).create(found)
    return found


Write = Callable[..., None]


@pytest.fixture
def write(store: PointStore, vectors: Generation) -> Write:
    """Bring a text into the generation as of a revision, all steps."""

    def all_steps(text: str | None, *, revision: int, entry: str = "int:1", force: bool = False) -> None:
        writer = GenerationWriter(store, vectors, revision=revision)
        plans = writer.plan([wanted(text, entry=entry, force=force)])
        for plan in plans:
            writer.stage((plan, chunk) for chunk in embed(plan.new))
        writer.finish(plans, embed=embed)

    return all_steps
