"""Each task with the rights that docs/security.md gives it: they are enough, and no more than that."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from twin_assets.errors import ConfigurationError
from twin_assets.models.change import Change
from twin_assets.models.generation import alias_of
from twin_assets.models.kinds import DataType, Snapshot
from twin_assets.operations.capture import run_capture
from twin_assets.operations.checks import evaluate_checks
from twin_assets.operations.features import FeatureStore
from twin_assets.operations.ingest.report import Taken
from twin_assets.operations.ingest.write import ingest_items
from twin_assets.operations.rebuild import rebuild
from twin_assets.operations.status import read_status
from twin_assets.operations.twin import Twin, open_twin
from twin_assets.settings import Settings
from twin_assets.stream.replica import run_stream
from twin_assets_tests.deploy.files import ROOT
from twin_assets_tests.scenarios.documents import post
from twin_assets_tests.scenarios.running import running
from twin_assets_tests.security.conftest import Guarded
from twin_assets_tests.security.servers import DATABASE, QDRANT_READ_KEY, GuardedMongo, GuardedRabbit
from twin_assets_tests.waiting import wait_until

pytestmark = [pytest.mark.servers, pytest.mark.slow]
POSTS = 5
LONG_S = 120.0


@pytest.fixture(scope="module")
def flowing(guarded: Guarded, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    """Capture and stream at work, each as its own user; yields the stream's settings."""
    state = tmp_path_factory.mktemp("state")
    streaming = guarded.settings(state)
    capturing = guarded.settings(state, rabbitmq_url=_rabbitmq(guarded, "capture"))
    with (
        running(lambda twin, stop: run_capture(twin, stop=stop, report=_ignore), capturing),
        running(lambda twin, stop: run_stream(twin, stop=stop), streaming),
    ):
        yield streaming


@pytest.fixture(scope="module")
def ingested(guarded: Guarded, flowing: Settings, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """Posts taken in by the author, one of which cannot be processed, and brought to Qdrant by the flow."""
    author = guarded.settings(tmp_path_factory.mktemp("author"), mongodb_url=_mongodb(guarded, "author"))
    posts = [post(f"p{number}", f"post number {number}") for number in range(POSTS)]
    with open_twin(author) as twin:
        report = ingest_items(
            [Taken(each, "here") for each in posts], twin.writer, DataType.POSTS, source="test"
        )
        twin.source.client[DATABASE].posts.insert_one({"_id": "broken"})
    assert report.taken == POSTS
    with open_twin(flowing) as twin:
        _await_step(twin)
    return flowing


def _ignore(_: object) -> None:
    """Take a report."""


def _await_step(twin: Twin) -> None:
    target, queues = twin.source.now(), twin.settings.rabbitmq_queues
    wait_until(
        lambda: (twin.meta.watermark(queues) or 0) >= target, what="the watermark passes", limit_s=LONG_S
    )


def _mongodb(guarded: Guarded, user: str) -> str:
    return guarded.mongodb.url_for(user, authority=guarded.certificate.own)


def _rabbitmq(guarded: Guarded, user: str) -> str:
    return guarded.rabbitmq.url_for(user, authority=guarded.certificate.own)


def test_capture_stream_and_ingest_bring_documents_and_dead_letters_over(ingested: Settings) -> None:
    with open_twin(ingested) as twin:
        assert twin.store.count_documents(alias_of(Snapshot.VECTOR, DataType.POSTS)) == POSTS
        [letter] = twin.dead_letters.peek()
        assert letter.letter.entry == "str:broken"


def test_checks_and_rebuild_run_with_the_streams_rights(ingested: Settings) -> None:
    posts = [(snapshot, DataType.POSTS) for snapshot in Snapshot]
    with open_twin(ingested) as twin:
        rebuild(twin, Snapshot.VECTOR, DataType.POSTS)
        _await_step(twin)
        failed = {result.check for result in evaluate_checks(twin, posts) if not result.passed}
    assert failed == {"has_no_dead_letters"}


@pytest.mark.usefixtures("patient_status")
def test_status_needs_no_right_at_all_in_rabbitmq(
    guarded: Guarded, ingested: Settings, tmp_path: Path
) -> None:
    found = read_status(guarded.settings(tmp_path, rabbitmq_url=_rabbitmq(guarded, "watcher")))
    assert found["servers"]["rabbitmq"]["problem"] is None
    assert found["dead_letters"] == 1


def test_a_dead_letter_is_replayed_with_the_streams_rights(ingested: Settings) -> None:
    with open_twin(ingested) as twin:
        change = Change(type=DataType.POSTS, entry="str:broken", revision=twin.source.now(), force=True)
        assert twin.publisher.publish([change]) == 1


def test_readers_need_the_read_only_key_and_cannot_write_with_it(
    guarded: Guarded, ingested: Settings, tmp_path: Path
) -> None:
    reader = guarded.settings(tmp_path, qdrant_api_key=QDRANT_READ_KEY)
    with FeatureStore(reader) as features:
        assert len(list(features.cleaned(DataType.POSTS))) == POSTS
        assert len(features.search("post number 3", types=[DataType.POSTS], limit=POSTS)) == POSTS
    with open_twin(reader) as twin, pytest.raises(ConfigurationError, match="TWIN_QDRANT_API_KEY"):
        twin.collections.drop(alias_of(Snapshot.VECTOR, DataType.POSTS))


def test_the_twins_user_cannot_alter_a_document(ingested: Settings) -> None:
    with open_twin(ingested) as twin, pytest.raises(ConfigurationError, match=r"MongoDB .* denies access"):
        ingest_items([Taken(post("mine", "text"), "here")], twin.writer, DataType.POSTS, source="test")


def test_the_author_cannot_see_our_records(guarded: Guarded, ingested: Settings, tmp_path: Path) -> None:
    author = guarded.settings(tmp_path, mongodb_url=_mongodb(guarded, "author"))
    with open_twin(author) as twin, pytest.raises(ConfigurationError, match=r"MongoDB .* denies access"):
        twin.meta.generations()


@pytest.mark.parametrize("user", ["capture", "watcher"])
def test_who_only_publishes_or_only_looks_cannot_read_messages(
    guarded: Guarded, ingested: Settings, tmp_path: Path, user: str
) -> None:
    settings = guarded.settings(tmp_path, rabbitmq_url=_rabbitmq(guarded, user))
    with open_twin(settings) as twin, pytest.raises(ConfigurationError, match="refuses access"):
        twin.dead_letters.peek()


def test_every_right_that_was_tried_stands_in_the_document() -> None:
    text = (ROOT / "docs" / "security.md").read_text()
    for rights in GuardedRabbit.permissions.values():
        assert " | ".join(f"`{rights[kind]}`" for kind in ("configure", "write", "read")) in text
    for roles in GuardedMongo.roles.values():
        assert all(f"`{role['role']}`" in text for role in roles)
