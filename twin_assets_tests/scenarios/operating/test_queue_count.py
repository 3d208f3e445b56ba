"""Another number of queues: the steps that the refusal names, followed to the letter."""

from __future__ import annotations

import threading

import pytest

from twin_assets.errors import ConfigurationError
from twin_assets.models.kinds import DataType, Snapshot
from twin_assets.operations.capture import run_capture
from twin_assets.operations.twin import Twin, open_twin
from twin_assets.stream.replica import run_stream
from twin_assets_tests.scenarios.assertions import assert_clean
from twin_assets_tests.scenarios.documents import post, words
from twin_assets_tests.scenarios.operating.flowing import flowing

pytestmark = pytest.mark.servers

STEPS = r"stop capture and stream, delete the queues twin\.changes\.\* and the document `queues`"


def capture(twin: Twin) -> None:
    run_capture(twin, stop=threading.Event(), report=lambda _: None)


def stream(twin: Twin) -> None:
    run_stream(twin, stop=threading.Event())


@pytest.mark.parametrize("others", [2, 7])
def test_the_documents_are_spread_over_another_number_of_queues(twin, documents, lived_in, settings, others):
    documents.posts.insert_many([post(number, words(10, prefix=f"p{number}x")) for number in range(20)])
    with flowing(twin):
        assert_clean(twin)
    changed = settings.model_copy(update={"rabbitmq_queues": others})
    with open_twin(changed) as refused:
        for flow in (capture, stream):
            with pytest.raises(ConfigurationError, match=STEPS):
                flow(refused)
    documents.posts.replace_one({"_id": 1}, post(1, "changed while nothing ran"))
    for queue in range(settings.rabbitmq_queues):
        lived_in.control_broker("delete_queue", f"twin.changes.{queue}")
    twin.source.client[settings.meta_database].queues.delete_one({"_id": "queues"})
    with open_twin(changed) as anew, flowing(anew):
        assert_clean(anew)
        live = anew.live_generation(Snapshot.VECTOR, DataType.POSTS)
        assert anew.store.chunk_texts(live.collection, "int:1") == ["changed while nothing ran"]
    for queue in range(others):
        lived_in.control_broker("delete_queue", f"twin.changes.{queue}")
