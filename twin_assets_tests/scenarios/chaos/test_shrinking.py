"""A document that shrinks under its readers: they always find text, and nothing is embedded twice."""

from __future__ import annotations

import pytest

from twin_assets.faults import FaultPoint, arm
from twin_assets.models.kinds import DataType
from twin_assets_tests.scenarios.chaos.pauses import reading, watch_encoder
from twin_assets_tests.scenarios.documents import post, words

pytestmark = [pytest.mark.servers, pytest.mark.slow, pytest.mark.chaos]

POST = DataType.POSTS
LONG = words(93)
STEPS = [
    FaultPoint.READ,
    FaultPoint.PLANNED,
    FaultPoint.STAGED,
    FaultPoint.KEPT_MOVED,
    FaultPoint.VERIFIED,
    FaultPoint.HEADS_WRITTEN,
    FaultPoint.STALE_DELETED,
    FaultPoint.GENERATION_WRITTEN,
]


@pytest.fixture
def shrink(twin, documents, tally):
    """Shorten document 1, and stop the stream at every step until a reader has looked."""

    def run(text: str) -> list[tuple[FaultPoint, list[list[str]]]]:
        looks: list[tuple[FaultPoint, list[list[str]]]] = []

        def look(point: FaultPoint) -> None:
            if point in STEPS:
                tally.fault()
                looks.append((point, reader.look()))

        with reading(lambda: twin.store.chunk_texts("vector_posts", "int:1")) as reader:
            disarm = arm(look)
            try:
                documents.posts.replace_one({"_id": 1}, post(1, text))
                tally.recover()
            finally:
                disarm()
        assert min(map(len, reader.seen)) > 0
        return looks

    return run


def test_a_reader_looks_on_while_twelve_chunks_become_three(
    documents, capturing, streaming, chunk_texts, tally, shrink, monkeypatch
):
    embedded = watch_encoder(monkeypatch)
    documents.posts.insert_one(post(1, LONG))
    with capturing(), streaming():
        tally.in_step()
        twelve = chunk_texts(POST, "int:1")
        assert len(twelve) == 12
        assert sorted(embedded) == sorted(twelve)
        kept_alone = shrink(" ".join(twelve[:3]))
        assert chunk_texts(POST, "int:1") == twelve[:3]
        assert embedded[12:] == []
        documents.posts.replace_one({"_id": 1}, post(1, LONG))
        tally.in_step()
        assert chunk_texts(POST, "int:1") == twelve
        assert embedded[12:] == [], "text that came back"
        one_new = shrink(" ".join([*twelve[1:3], "altogether new"]))
        assert chunk_texts(POST, "int:1") == [*twelve[1:3], "altogether new"]
        assert embedded[12:] == ["altogether new"]
        tally.settle()
    assert {point for point, _ in kept_alone} == {*STEPS} - {FaultPoint.STAGED}
    assert {point for point, _ in one_new} == {*STEPS}
    for looks, short in ((kept_alone, twelve[:3]), (one_new, [*twelve[1:3], "altogether new"])):
        assert_old_text_stays_until_the_new_head_stands(looks, set(twelve), short)


def assert_old_text_stays_until_the_new_head_stands(looks, old: set[str], short: list[str]) -> None:
    """The last deletion is the vector collection's; until then every old chunk is there, then none."""
    points = [point for point, _ in looks]
    deleted = len(points) - 1 - points[::-1].index(FaultPoint.STALE_DELETED)
    for step, (point, seen) in enumerate(looks):
        for texts in seen:
            if step < deleted:
                assert old <= {*texts}, point
            else:
                assert texts == short, point
