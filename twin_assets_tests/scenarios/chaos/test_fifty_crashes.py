"""Fifty crashes in a row: only the document that ends the stream is set aside."""

from __future__ import annotations

from contextlib import suppress

import pytest

from twin_assets.faults import FaultPoint, arm
from twin_assets.operations.processors import Processors
from twin_assets.processing.encoder import SLICE
from twin_assets_tests.scenarios.chaos.poison import letters
from twin_assets_tests.scenarios.documents import post, repository, words
from twin_assets_tests.waiting import wait_until

pytestmark = [pytest.mark.servers, pytest.mark.slow, pytest.mark.chaos]

CRASHES = 50
NEIGHBOURS = 8
DEADLY = "deadly"


@pytest.mark.nightly
@pytest.mark.timeout(1800)
def test_fifty_crashes_in_a_row_set_nobody_aside_but_the_document_that_ends_the_stream(
    twin, documents, capturing, streaming, tally, monkeypatch
):
    original, crashes = Processors.embed, []

    def deadly(self, recipe, chunks):
        if any(DEADLY in chunk.content for chunk in chunks):
            crashes.append(DEADLY)
            raise RuntimeError("this document ends the process")
        return original(self, recipe, chunks)

    def end_at_every_slice(point: FaultPoint) -> None:
        if point is FaultPoint.STAGED and len(crashes) < CRASHES:
            crashes.append(point.name)
            raise RuntimeError("the machine ends the process")

    def crash() -> None:
        """Run a stream until it has ended, or has set something aside."""
        before, aside = len(crashes), twin.dead_letters.count()
        with suppress(RuntimeError), streaming():
            wait_until(
                lambda: len(crashes) > before or twin.dead_letters.count() > aside,
                what="it ends",
                limit_s=120,
            )
        tally.fault(len(crashes) - before)

    monkeypatch.setattr(Processors, "embed", deadly)
    disarm = arm(end_at_every_slice)
    documents.posts.insert_one(post("guilty", f"{DEADLY} from the first word on"))
    documents.repositories.insert_one(repository("long", files_of((CRASHES + 10) * SLICE)))
    documents.posts.insert_many(
        [post(number, words(12, prefix=f"n{number}x")) for number in range(NEIGHBOURS)]
    )
    with capturing():
        while len(crashes) < CRASHES:
            crash()
            assert {letter.entry for letter in letters(twin)} <= {"str:guilty"}
        while not twin.dead_letters.count():
            crash()
            assert len(crashes) < 2 * CRASHES
        assert [letter.entry for letter in letters(twin)] == ["str:guilty"]
        disarm()
        monkeypatch.setattr(Processors, "embed", original)
        with streaming():
            twin.dead_letters.replay(lambda _: True, twin.publisher.publish)
            tally.settle()
    assert letters(twin) == []


def files_of(count: int) -> dict[str, str]:
    """Return files of one chunk each, no two alike."""
    return {f"src/file_{number}.py": f"value_{number} = {number}\n" for number in range(count)}
