"""What is erased, what is refused, and what counts as left; changes are applied by the test itself."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from pydantic import SecretStr

from twin_assets.broker.publisher import ChangePublisher
from twin_assets.broker.topology import DEAD_QUEUE
from twin_assets.errors import AmbiguousId, BrokerUnavailable, NotApplied, UnknownDocument
from twin_assets.faults import FaultPoint, arm
from twin_assets.models.generation import GenerationStatus
from twin_assets.models.kinds import DataType, Snapshot
from twin_assets.operations.erase import State, erase
from twin_assets.operations.twin import Twin, open_twin
from twin_assets.settings import Settings, load_settings
from twin_assets_tests.broker.builders import letter, put_raw
from twin_assets_tests.operations.auditing import Spoiler, change, move_watermark, post
from twin_assets_tests.small import SMALL_CHUNKS

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
        **SMALL_CHUNKS,
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


def test_nothing_is_left_and_the_tombstones_are_named(twin, documents, apply, applying):
    fill(documents, apply, one=TEXT, two="a neighbour")
    erasure = erase(twin, POST, "1", proof=True)
    assert (erasure.keys, erasure.state, erasure.text_known) == (["posts/int:1"], State.PRESENT, True)
    assert (erasure.left, sum(place.kept for place in erasure.places)) == (0, len(Snapshot))
    assert [found["_id"] for found in documents.posts.find()] == [2]


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


def test_without_a_stream_it_says_so_and_the_same_command_finishes_later(twin, documents, apply):
    fill(documents, apply, one=TEXT)
    with pytest.raises(NotApplied, match="no stream takes changes out of the queues"):
        erase(twin, POST, "1", wait_s=0)
    apply([change(1)])
    move_watermark(twin)
    erasure = erase(twin, POST, "1", proof=True)
    assert (erasure.state, erasure.text_known, erasure.left) == (State.DELETED, False, 0)


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


def test_a_tombstone_with_text_is_no_tombstone(twin, documents, apply, applying):
    fill(documents, apply, one=TEXT)
    erase(twin, POST, "1")
    spoiler = Spoiler(twin, Snapshot.CLEANED)
    spoiler.set(spoiler.head_id(1), cleaned_content=TEXT)
    assert left_at(erase(twin, POST, "1", proof=True)) == {spoiler.generation.collection: (1, None)}


def test_what_another_document_says_itself_is_no_trace_but_what_it_does_not_say_is(
    twin, documents, apply, applying
):
    fill(documents, apply, one=TEXT, two=TEXT, three="something else altogether")
    spoiler = Spoiler(twin, Snapshot.CLEANED)
    spoiler.set(spoiler.head_id(3), cleaned_content=TEXT)
    assert left_at(erase(twin, POST, "1", proof=True)) == {spoiler.generation.collection: (0, 1)}


def test_a_retired_generation_loses_the_document_as_well(twin, documents, apply, applying):
    fill(documents, apply, one=TEXT, two="a neighbour")
    live = Spoiler(twin, Snapshot.VECTOR).generation
    twin.meta.set_status(live.collection, GenerationStatus.RETIRED)
    try:
        erasure = erase(twin, POST, "1", proof=True)
    finally:
        twin.meta.set_status(live.collection, GenerationStatus.LIVE)
    assert erasure.left == 0
    assert twin.store.chunk_texts(live.collection, "int:1") == []
    assert twin.store.chunk_texts(live.collection, "int:2")


def test_letters_that_name_or_quote_the_document_go_and_others_stay(
    twin, documents, apply, applying, broker_url
):
    fill(documents, apply, one=TEXT)
    twin.publisher.publish_dead([letter(1), letter(2), letter(3, body=f"what: {TEXT}".encode())])
    put_raw(broker_url, DEAD_QUEUE, f"not even a letter: {TEXT}".encode())
    erasure = erase(twin, POST, "1", proof=True)
    assert (erasure.dead_letters_removed, left_at(erasure)) == (3, {})
    assert [stored.letter.entry for stored in twin.dead_letters.peek()] == ["int:2"]


def test_our_own_records_lose_the_key_and_would_show_the_text(twin, documents, apply, applying):
    fill(documents, apply, one=TEXT)
    twin.meta.count_attempt("posts/int:1")
    records = twin.source.client[twin.settings.meta_database]
    records.careless.insert_one({"note": ["said", TEXT]})
    erasure = erase(twin, POST, "1", proof=True)
    records.careless.drop()
    assert left_at(erasure) == {f"{twin.settings.meta_database}.careless": (0, 1)}
