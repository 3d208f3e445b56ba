"""No document costs a round trip of its own: a batch of three times as many asks for as much."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Sequence

import pytest

from twin_assets.models.change import Change, DeadLetter
from twin_assets.models.kinds import DataType, Snapshot
from twin_assets.operations.apply import Applier
from twin_assets.operations.bootstrap import ensure_generations
from twin_assets.operations.context import StepContext
from twin_assets.operations.patience import Patience
from twin_assets.operations.processors import Processors
from twin_assets.processing.encoder import SLICE
from twin_assets_tests.scenarios.documents import post
from twin_assets_tests.scenarios.round_trips import await_quiet, requests_answered

pytestmark = pytest.mark.servers

FEW = SLICE // 3
MANY = 3 * FEW
STAGING = "qdrant PUT /collections/{name}/points"


class NoLetters:
    def publish_dead(self, letters: Sequence[DeadLetter]) -> None:
        raise AssertionError(letters)


@pytest.fixture
def apply(twin) -> Callable[[Sequence[int]], Counter[str]]:
    """Apply changes of some posts in one batch; return what was asked of the servers for it."""
    ensure_generations(twin, stop=threading.Event())
    context = StepContext(twin, Processors.of(twin.settings), Patience(threading.Event()), NoLetters())
    applier = Applier(context)

    def run(numbers: Sequence[int]) -> Counter[str]:
        revision = twin.source.now()
        changes = [Change(type=DataType.POSTS, entry=f"int:{each}", revision=revision) for each in numbers]
        await_quiet(twin)
        before = requests_answered(twin)
        applier.apply(applier.fetch(changes))
        return requests_answered(twin) - before

    return run


def test_a_batch_asks_as_often_however_many_documents_it_has(twin, documents, apply):
    few, many = range(FEW), range(100, 100 + MANY)
    documents.posts.insert_many([post(number, f"post number {number}") for number in (*few, *many)])
    asked = {"new": (apply(few), apply(many)), "unchanged": (apply(few), apply(many))}
    for number in (*few, *many):
        documents.posts.replace_one({"_id": number}, post(number, f"post number {number}, edited"))
    asked["edited"] = (apply(few), apply(many))
    documents.posts.delete_many({})
    asked["deleted"] = (apply(few), apply(many))
    for kind, (by_few, by_many) in asked.items():
        assert by_few == by_many, kind
        assert 0 < by_few.total() < 20, (kind, by_few)
    assert STAGING in asked["new"][0]
    assert STAGING not in asked["unchanged"][0], "what is unchanged is not written again"


def test_a_slice_of_new_text_costs_one_write_more(twin, documents, apply):
    one, three = range(SLICE), range(100, 100 + 3 * SLICE)
    documents.posts.insert_many([post(number, f"post number {number}") for number in (*one, *three)])
    by_one, by_three = apply(one), apply(three)
    assert by_three - by_one == Counter({STAGING: 2})
    assert not by_one - by_three
    live = twin.live_generation(Snapshot.VECTOR, DataType.POSTS)
    assert twin.store.count_chunks(live.collection) == 4 * SLICE
