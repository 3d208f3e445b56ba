"""What is erased, what is refused, and what counts as left; changes are applied by the test itself."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from pydantic import SecretStr

from twin_assets.broker.publisher import ChangePublisher
from twin_assets.errors import AmbiguousId, BrokerUnavailable, UnknownDocument
from twin_assets.faults import FaultPoint, arm
from twin_assets.models.base import DataType, Snapshot
from twin_assets.operations.erase import State, erase
from twin_assets.operations.twin import Twin, open_twin
from twin_assets.settings import Settings, load_settings
from twin_assets_tests.operations.auditing import Spoiler, change, move_watermark, post

pytestmark = pytest.mark.servers

POST = DataType.POSTS
TEXT = "nobody else remembers how the heliotrope froze"
QUEUES = 2


@pytest.fixture(scope="module")
def broker_url(next_vhost) -> str:
    url = next_vhost()
    with ChangePublisher(url, queues=QUEUES):
        return url


@pytest.fixture(scope="module")
def settings(mongodb_url: str, qdrant_url: str, broker_url: str, tmp_path_factory) -> Settings:
    return load_settings(
        state_dir=tmp_path_factory.mktemp("state"),
        mongodb_url=mongodb_url,
        mongodb_database="twin_erase",
        rabbitmq_url=broker_url,
        rabbitmq_queues=QUEUES,
        qdrant_url=qdrant_url,
        text_model="hash-32",
        code_model="hash-32",
        text_chunk_size=60,
        text_chunk_overlap=0,
    )


@pytest.fixture
def twin(twin: Twin) -> Iterator[Twin]:
    """The broker is a real one here; every letter is taken out at the end."""
    for name in ("publisher", "dead_letters"):
        twin.__dict__.pop(name, None)
    yield twin
    twin.dead_letters.take(lambda _: True, lambda _: None)


@pytest.fixture
def applying(twin: Twin, apply) -> Iterator[None]:
    """A delete is applied at once."""

    def apply_all(reached: FaultPoint) -> None:
        if reached is FaultPoint.DOCUMENT_DELETED:
            apply([change(1), change(2)])
            move_watermark(twin)

    disarm = arm(apply_all)
    yield
    disarm()


def fill(documents, apply, **texts: str) -> None:
    documents.posts.insert_many([post(number, text) for number, text in enumerate(texts.values(), 1)])
    apply([change(number) for number in range(1, len(texts) + 1)])


def left_at(erasure) -> dict[str, tuple[int | None, int | None]]:
    return {place.name: (place.by_key, place.by_text) for place in erasure.places if place.left}


def test_an_id_that_two_documents_have_is_refused_and_both_stay(twin, documents, apply, applying):
    documents.posts.insert_many([post(1), post("1")])
    with pytest.raises(AmbiguousId, match="int:1, str:1"):
        erase(twin, POST, "1")
    assert documents.posts.count_documents({}) == 2
    assert erase(twin, POST, "str:1").keys == ["posts/str:1"]
    assert [found["_id"] for found in documents.posts.find()] == [1]


def test_a_document_that_nobody_knows_is_said_to_be_unknown(twin, documents):
    move_watermark(twin)
    with pytest.raises(UnknownDocument, match="posts has no document '7'"):
        erase(twin, POST, "7")
    erasure = erase(twin, POST, "7", proof=True)
    assert (erasure.state, erasure.left) == (State.UNKNOWN, 0)
    assert erasure.keys == ["posts/int:7", "posts/str:7"]


def test_nothing_is_deleted_while_a_server_is_away(settings, twin, documents):
    documents.posts.insert_one(post(1))
    away = settings.model_copy(update={"rabbitmq_url": SecretStr("amqp://127.0.0.1:1/")})
    with open_twin(away) as other, pytest.raises(BrokerUnavailable):
        erase(other, POST, "1")
    assert documents.posts.count_documents({}) == 1


def test_points_that_no_stream_deletes_are_found_by_key(twin, documents, apply):
    fill(documents, apply, one=TEXT)
    move_watermark(twin)
    vectors = Spoiler(twin, Snapshot.VECTOR).generation.collection
    erasure = erase(twin, POST, "int:1", proof=True)
    assert left_at(erasure)[vectors][0] == twin.store.count(vectors)
