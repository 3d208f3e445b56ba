"""A stream process that is stopped by SIGSTOP, given up by the broker, replaced, and then continued."""

from __future__ import annotations

import pytest
from pydantic import SecretStr

from twin_assets.faults import FaultPoint
from twin_assets.models.kinds import DataType, Snapshot
from twin_assets.operations.rebuild import rebuild
from twin_assets_tests.scenarios.chaos.faulty import faulty_run
from twin_assets_tests.scenarios.chaos.pauses import LIMIT_S
from twin_assets_tests.scenarios.documents import post, words
from twin_assets_tests.waiting import wait_until

pytestmark = [pytest.mark.servers, pytest.mark.slow, pytest.mark.chaos]

POST = DataType.POSTS
FIRST = words(24) + " and an old end"
SECOND = words(24) + " but a new end " + words(9, prefix="more")
WRITTEN = r"documents=(\d+)"


@pytest.fixture
def outlive(twin, settings, documents, streaming, tally):
    """Stop a stream at a point with document 1 in hand, act, replace it, act again, and let it go on."""
    impatient = settings.model_copy(
        update={"rabbitmq_url": SecretStr(settings.require_url("rabbitmq_url") + "?heartbeat=2")}
    )

    def run(point, turn, *, before, meanwhile=lambda: None) -> None:
        with faulty_run(impatient, "stream", at=point, turn=turn, does="STOP") as zombie:
            zombie.await_fault(LIMIT_S)
            tally.fault()
            before()
            with streaming():
                tally.recover()
                meanwhile()
                zombie.go_on()
                await_written(zombie)
                tally.settle()

    return run


def await_written(zombie) -> None:
    """Wait until it has finished what it had in hand."""
    wait_until(
        lambda: zombie.last_number(WRITTEN),
        what=f"the zombie writes: {zombie.said()[-2000:]}",
        limit_s=LIMIT_S,
    )


def replace(documents, text: str | None) -> None:
    """Give document 1 another text, or none."""
    documents.posts.delete_one({"_id": 1})
    if text is not None:
        documents.posts.insert_one(post(1, text))


def test_a_stopped_process_goes_on_after_an_edit_was_taken_back_and_a_generation_registered(
    twin, documents, capturing, streaming, tally, outlive, chunk_texts
):
    documents.posts.insert_one(post(1, FIRST))
    with capturing():
        with streaming():
            tally.in_step()
            old = chunk_texts(POST, "int:1")
        replace(documents, SECOND)
        outlive(
            FaultPoint.PLANNED,
            1,
            before=lambda: replace(documents, FIRST),
            meanwhile=lambda: rebuild(twin, Snapshot.VECTOR, POST),
        )
    assert chunk_texts(POST, "int:1") == old
    assert twin.dead_letters.count() == 0
