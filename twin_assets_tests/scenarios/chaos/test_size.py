"""What is very large: documents near MongoDB's limit, and embedding that outlasts crashes."""

from __future__ import annotations

import pytest

from twin_assets.faults import FaultPoint
from twin_assets.models.kinds import DataType, Snapshot
from twin_assets.processing.encoder import SLICE
from twin_assets.stream.intake import SUSPECT_ATTEMPTS
from twin_assets.stream.steps import CRASH_LIMIT
from twin_assets_tests.scenarios.chaos.faulty import faulty_run
from twin_assets_tests.scenarios.chaos.poison import letters
from twin_assets_tests.scenarios.chaos.verdict import live
from twin_assets_tests.scenarios.documents import post, repository
from twin_assets_tests.waiting import wait_until

pytestmark = [pytest.mark.servers, pytest.mark.slow, pytest.mark.chaos]

POST, REPOSITORY = DataType.POSTS, DataType.REPOSITORIES
LARGEST = int(15.9 * 1024 * 1024)
# White space that cleaning takes out again: a document of every size for MongoDB, of few chunks for us.
FILLING = " " * (LARGEST - 1000)
SLICES = 12
FILES, NIGHTLY_FILES = SLICES * SLICE, 5000
MORE_THAN_ANY_SUSPECT = SUSPECT_ATTEMPTS + CRASH_LIMIT + 2
FIRST_SLICE_S = 300.0


def test_a_document_of_15_9_mb_and_its_updates_arrive_and_its_deletion(
    twin, documents, capturing, streaming, tally, chunk_texts
):
    documents.posts.insert_one(post(1, f"first{FILLING}end"))
    documents.posts.insert_one(post(2, "a neighbour"))
    with capturing(), streaming():
        tally.fault()
        tally.recover()
        assert chunk_texts(POST, "int:1") == ["first end"]
        documents.posts.update_one({"_id": 1}, {"$set": {"link": "https://example.org/new"}})
        documents.posts.replace_one({"_id": 1}, post(1, f"second{FILLING}end"))
        documents.posts.update_one({"_id": 1}, {"$set": {"content.text": f"third{FILLING}end"}})
        tally.recover()
        assert chunk_texts(POST, "int:1") == ["third end"]
        documents.posts.update_one({"_id": 1}, {"$set": {"content.text": "short"}})
        tally.recover()
        assert chunk_texts(POST, "int:1") == ["short"]
        documents.posts.replace_one({"_id": 1}, post(1, f"fourth{FILLING}end"))
        documents.posts.delete_one({"_id": 1})
        documents.posts.replace_one({"_id": 2}, post(2, "a neighbour still"))
        tally.settle()
        assert chunk_texts(POST, "int:1") == []
    assert letters(twin) == []


def test_a_large_repository_is_embedded_by_attempts_that_each_get_further(
    twin, settings, documents, capturing, streaming, tally
):
    embed_through_crashes(twin, settings, documents, capturing, tally, files=FILES, turns=[1, 2, 3])
    with capturing(), streaming():
        tally.settle()
    assert letters(twin) == []


@pytest.mark.nightly
@pytest.mark.timeout(1800)
def test_a_repository_of_5000_files_outlasts_more_crashes_than_a_guilty_document_is_given(
    twin, settings, documents, capturing, streaming, tally
):
    turns = [5 * turn for turn in range(1, MORE_THAN_ANY_SUSPECT + 1)]
    embed_through_crashes(twin, settings, documents, capturing, tally, files=NIGHTLY_FILES, turns=turns)
    with capturing(), streaming():
        tally.settle(lambda: await_applied(twin))
    assert letters(twin) == []


def embed_through_crashes(
    twin, settings, documents, capturing, tally, *, files: int, turns: list[int]
) -> None:
    """Kill a stream once it has stored so many slices, again and again; each begins where one was killed."""
    documents.repositories.insert_one(repository(1, files_of(files)))
    stored = 0
    with capturing():
        for turn in turns:
            with faulty_run(settings, "stream", at=FaultPoint.STAGED, turn=turn) as stream:
                stream.await_fault(FIRST_SLICE_S)
                stream.await_death()
                tally.fault()
            found = twin.store.count_chunks(live(twin, Snapshot.VECTOR, REPOSITORY).collection)
            assert found == stored + turn * SLICE
            stored = found
    assert stored < files
    assert letters(twin) == []


def files_of(count: int) -> dict[str, str]:
    """Return files of one chunk each, no two alike."""
    return {f"src/file_{number}.py": f"value_{number} = {number}\n" for number in range(count)}


def await_applied(twin) -> None:
    target, queues = twin.source.now(), twin.settings.rabbitmq_queues
    wait_until(lambda: (twin.meta.watermark(queues) or 0) >= target, what="it is applied", limit_s=300)
