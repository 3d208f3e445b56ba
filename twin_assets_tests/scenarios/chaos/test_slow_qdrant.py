"""A Qdrant that refuses, is slow, or applies a write and loses the answer: everything ends right."""

from __future__ import annotations

import random
from collections.abc import Iterator
from hashlib import sha256
from urllib.parse import urlsplit

import pytest
from pydantic import SecretStr

from twin_assets.broker.depth import queue_depths
from twin_assets.faults import FaultPoint
from twin_assets.settings import Settings
from twin_assets_tests.scenarios.chaos.outage import LIMIT_S, Listener, counted_points, waits_said
from twin_assets_tests.scenarios.chaos.proxy import Mishap, QdrantProxy, Request, harmless, proxy_before
from twin_assets_tests.scenarios.documents import article, post, words
from twin_assets_tests.waiting import wait_until

pytestmark = [pytest.mark.servers, pytest.mark.slow, pytest.mark.chaos]

SEED = 20
PREFETCH = 4
TIMEOUT_S = 3
CROWD = 300
SOME_TRIES = 6


@pytest.fixture
def proxy(qdrant_url: str) -> Iterator[QdrantProxy]:
    with proxy_before(qdrant_url) as running:
        yield running


@pytest.fixture
def settings(settings: Settings, proxy: QdrantProxy) -> Settings:
    """Everybody reaches Qdrant through the proxy, and gives up soon."""
    behind = {
        "qdrant_url": SecretStr(proxy.url),
        "qdrant_timeout_s": TIMEOUT_S,
        "rabbitmq_prefetch": PREFETCH,
    }
    return settings.model_copy(update=behind)


@pytest.fixture(autouse=True)
def _harmless_at_the_end(twin: object, proxy: QdrantProxy) -> Iterator[None]:
    yield
    proxy.fate = harmless
    proxy.released.set()


def write_versions(documents, turn: int) -> None:
    """Insert, keep half, shorten and delete."""
    text = words(12, prefix="kept ") + " " + words(12 + turn % 3, prefix=f"t{turn}x")
    documents.posts.replace_one({"_id": 1}, post(1, text), upsert=True)
    documents.posts.replace_one({"_id": 2}, post(2, words(3 if turn % 2 else 20)), upsert=True)
    documents.articles.replace_one({"_id": "a"}, article("a", text), upsert=True)
    if turn % 3 == 2:
        documents.posts.delete_one({"_id": 2})


def test_every_write_is_applied_and_its_answer_lost_once(twin, proxy, documents, capturing, streaming, tally):
    seen: set[bytes] = set()

    def cut_once(request: Request) -> Mishap | None:
        if not request.is_write:
            return None
        what = sha256(request.path.encode() + request.body).digest()
        if what in seen:
            return None
        seen.add(what)
        return Mishap.CUT

    with capturing(), streaming():
        tally.in_step()
        proxy.fate = cut_once
        for turn in range(3):
            write_versions(documents, turn)
            tally.in_step()
        proxy.fate = harmless
        tally.fault(proxy.befallen[Mishap.CUT])
        tally.settle()
    assert proxy.befallen[Mishap.CUT] > 3 * 2
    assert twin.dead_letters.count() == 0


def test_each_kind_of_write_times_out_after_it_was_applied(
    twin, proxy, documents, capturing, streaming, tally
):
    late: set[str] = set()

    def late_once(request: Request) -> Mishap | None:
        kind = f"{request.method} {urlsplit(request.path).path}"
        if not request.is_write or "posts" not in kind or kind in late:
            return None
        late.add(kind)
        return Mishap.LATE

    with capturing(), streaming():
        write_versions(documents, 1)
        tally.in_step()
        proxy.fate = late_once
        write_versions(documents, 2)
        tally.in_step()
        write_versions(documents, 3)
        tally.in_step()
        proxy.fate = harmless
        tally.fault(len(late))
        tally.settle()
    vectors = f"/collections/{twin.collections.aliases()['vector_posts']}/points"
    assert {f"PUT {vectors}", f"POST {vectors}/batch", f"POST {vectors}/delete"} <= late
    assert twin.dead_letters.count() == 0


@pytest.mark.nightly
def test_errors_of_the_server_come_at_random_and_nothing_goes_to_the_dead_letters(
    twin, proxy, documents, capturing, streaming, tally
):
    chance = random.Random(SEED)

    def now_and_then(request: Request) -> Mishap | None:
        mishaps = [Mishap.REFUSED, *([Mishap.FAILED, Mishap.CUT] if request.is_write else [])]
        return chance.choice(mishaps) if chance.random() < 0.2 else None

    with capturing(), streaming():
        tally.in_step()
        proxy.fate = now_and_then
        for turn in range(4):
            write_versions(documents, turn)
            tally.in_step()
        proxy.fate = harmless
        tally.fault(proxy.befallen.total())
        tally.settle()
    assert min(proxy.befallen[each] for each in (Mishap.REFUSED, Mishap.FAILED, Mishap.CUT)) > 0
    assert twin.dead_letters.count() == 0


def test_a_server_that_only_answers_503_is_waited_for_and_that_is_said_once(
    twin, proxy, documents, capturing, streaming, tally, caplog
):
    stream = Listener()
    with capturing(), streaming(report=stream), counted_points() as reached:
        write_versions(documents, 0)
        tally.in_step()
        stream.hear_anew(caplog)
        proxy.fate = lambda _: Mishap.REFUSED
        tally.fault()
        write_versions(documents, 1)
        stream.await_wait("Qdrant")
        acknowledged = reached[FaultPoint.ACKNOWLEDGED]
        tries = proxy.befallen[Mishap.REFUSED]
        wait_until(
            lambda: proxy.befallen[Mishap.REFUSED] >= tries + SOME_TRIES, what="it tries", limit_s=LIMIT_S
        )
        assert reached[FaultPoint.ACKNOWLEDGED] == acknowledged
        assert stream.waiting_for == "Qdrant"
        assert waits_said(caplog) == 1
        proxy.fate = harmless
        tally.settle()
        assert stream.waiting_for == ""
    assert twin.dead_letters.count() == 0


@pytest.mark.nightly
def test_a_slow_server_holds_back_the_stream_and_the_rest_waits_in_the_queues(
    twin, settings, proxy, documents, capturing, streaming, tally
):
    url, queues = settings.require_url("rabbitmq_url"), settings.rabbitmq_queues
    in_hand = queues * PREFETCH

    def is_held_back() -> bool:
        return queue_depths(url, queues).total >= CROWD - in_hand

    with capturing(), streaming():
        tally.in_step()
        proxy.fate = lambda request: Mishap.HELD if request.is_write else None
        tally.fault()
        documents.posts.insert_many(
            [post(number, words(20, prefix=f"p{number}x")) for number in range(CROWD)]
        )
        wait_until(is_held_back, what="the crowd waits in the queues", limit_s=LIMIT_S)
        assert twin.store.count_documents("cleaned_posts") == 0
        proxy.fate = harmless
        proxy.released.set()
        tally.settle()
    assert twin.store.count_documents("cleaned_posts") == CROWD
    assert twin.dead_letters.count() == 0
