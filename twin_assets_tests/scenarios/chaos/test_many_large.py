"""Many documents near MongoDB's limit in one batch: no request to Qdrant may hold them all."""

from __future__ import annotations

import pytest

from twin_assets.models.kinds import DataType, Snapshot
from twin_assets.operations.rebuild import rebuild
from twin_assets_tests.scenarios.chaos.poison import letters
from twin_assets_tests.scenarios.documents import post, repository
from twin_assets_tests.waiting import wait_until

pytestmark = [pytest.mark.servers, pytest.mark.slow, pytest.mark.chaos]

POST = DataType.POSTS
LARGEST = int(15.9 * 1024 * 1024)


@pytest.mark.nightly
@pytest.mark.timeout(1800)
def test_many_documents_of_15_9_mb_are_stored_and_rebuilt_although_one_request_cannot_hold_them(
    twin, documents, capturing, streaming, tally
):
    """Their text is too long to be cut, which says a letter each; the cleaned snapshot holds all of it."""
    large = "x" * LARGEST
    documents.posts.insert_many([post(number, large) for number in range(4)])
    documents.repositories.insert_one(repository("control", {"a.bin": "\x01" * (LARGEST - 1000)}))
    with capturing(), streaming():
        tally.fault(5)
        tally.settle(lambda: await_applied(twin))
        assert {(letter.entry, letter.stage) for letter in letters(twin)} == {
            *((f"int:{number}", "chunking") for number in range(4)),
            ("str:control", "cleaning"),
        }
        for snapshot in Snapshot:
            rebuild(twin, snapshot, POST)
        tally.settle(lambda: await_applied(twin))
    assert len(letters(twin)) == 5


def await_applied(twin) -> None:
    target, queues = twin.source.now(), twin.settings.rabbitmq_queues
    wait_until(lambda: (twin.meta.watermark(queues) or 0) >= target, what="it is applied", limit_s=300)
