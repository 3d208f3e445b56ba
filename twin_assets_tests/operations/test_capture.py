"""Capture on a real MongoDB: nothing is skipped, whatever stops and whatever is lost."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import pytest
from pymongo.database import Database
from pymongo.read_concern import ReadConcern

from twin_assets.errors import ClusterTimeWentBack, ConfigurationError, PositionLost
from twin_assets.models.change import Hint, Marker, revision_of
from twin_assets.models.generation import Generation
from twin_assets.models.kinds import DataType, Snapshot
from twin_assets.models.recipe import CleanedRecipe
from twin_assets.operations import capture, republish
from twin_assets.operations.capture_progress import CaptureProgress
from twin_assets.settings import Settings
from twin_assets.source.changes import ChangeStream, Position
from twin_assets.source.client import Client, Document, connect, database_of
from twin_assets.source.documents import DocumentSource
from twin_assets.source.meta import MetaStore
from twin_assets_tests.operations.capturing import Capturing, MemoryPublisher, MemoryTwin
from twin_assets_tests.source.builders import post
from twin_assets_tests.waiting import wait_until

pytestmark = pytest.mark.servers

QUEUES = 2


@pytest.fixture(scope="module")
def client(mongodb_url: str) -> Iterator[Client]:
    with connect(mongodb_url) as opened:
        yield opened


@pytest.fixture
def database(client: Client) -> Iterator[Database[Document]]:
    opened = database_of(client, f"test_{uuid4().hex[:12]}")
    yield opened
    client.drop_database(opened.name)
    client.drop_database(f"{opened.name}_meta")


@pytest.fixture
def twin(client: Client, database: Database[Document]) -> MemoryTwin:
    settings = Settings(mongodb_database=database.name, rabbitmq_queues=QUEUES, marker_interval_s=0.3)
    return MemoryTwin(
        settings,
        source=DocumentSource(client, database.name),
        meta=MetaStore(client, settings.meta_database),
        publisher=MemoryPublisher(QUEUES),
    )


def hold(twin: MemoryTwin, *entries: str) -> Generation:
    """Register a generation that holds these posts."""
    generation = twin.meta.register(
        snapshot=Snapshot.CLEANED, data_type=DataType.POSTS, recipe=CleanedRecipe()
    )
    twin.store.heads[generation.collection] = list(entries)
    return generation


def apply_markers(twin: MemoryTwin) -> None:
    """Play the stream that has applied everything published so far."""
    last = twin.publisher.markers[-1]
    twin.meta.store_markers(dict.fromkeys(range(QUEUES), last))


def lose_position(twin: MemoryTwin, database: Database[Document]) -> None:
    """Save a position at an event that no oplog holds: one of another collection's UUID."""
    start = Position(None, twin.source.now())
    database.posts.insert_one(post("unseen"))
    with ChangeStream(twin.source.client, database.name, start, limit=1) as stream:
        position = stream.next_batch(5).position
    assert position.token is not None
    before, mark, after = position.token["_data"].partition("5A1004")
    assert mark, "the token of an event names its collection's UUID"
    forged = before + mark + "0" * 32 + after[32:]
    twin.meta.save_position(Position({"_data": forged}, position.revision))


def test_first_start_publishes_every_document_then_a_marker(
    twin: MemoryTwin, database: Database[Document]
) -> None:
    database.posts.insert_many([post(number) for number in range(3)])
    database.articles.insert_one({"_id": "a"})
    database.repositories.insert_one({"_id": 1.5})
    before = twin.source.now()
    with Capturing(twin) as capturing:
        capturing.until_ready()
        snapshot = list(twin.publisher.messages[:5])
        assert [letter.type for letter in twin.publisher.dead] == [DataType.REPOSITORIES]
    assert sorted(twin.publisher.keys) == ["articles/str:a", "posts/int:0", "posts/int:1", "posts/int:2"]
    assert isinstance(snapshot[4], Marker)
    assert snapshot[4].position >= before
    assert {change.revision for change in twin.publisher.changes} == {snapshot[4].position}


def test_changes_are_published_and_a_marker_follows_at_once(
    twin: MemoryTwin, database: Database[Document]
) -> None:
    with Capturing(twin) as capturing:
        capturing.until_ready()
        database.posts.insert_one(post(1))
        database.posts.delete_one({"_id": 1})
        capturing.until_published("posts/int:1")
        wait_until(
            lambda: twin.publisher.markers[-1].position >= twin.publisher.changes[-1].revision,
            what="a marker",
        )
        wait_until(lambda: capturing.progress.lag_s == 0, what="no lag")
    positions = [marker.position for marker in twin.publisher.markers]
    assert positions == sorted(positions)


def test_no_change_before_a_marker_is_published_after_it(
    twin: MemoryTwin, database: Database[Document]
) -> None:
    stop = threading.Event()

    def write() -> None:
        number = 0
        while not stop.is_set():
            database.posts.insert_many([post(number), post(number + 1)])
            number += 2

    writer = threading.Thread(target=write)
    with Capturing(twin) as capturing:
        capturing.until_ready()
        writer.start()
        wait_until(lambda: len(twin.publisher.markers) > 4, what="five markers")
        stop.set()
        writer.join()
    seen: set[str] = set()
    position = 0
    for message in twin.publisher.messages:
        if isinstance(message, Marker):
            position = message.position
        elif message.key not in seen:
            assert message.revision > position
            seen.add(message.key)


def test_several_changes_of_one_document_in_one_batch_become_the_last(
    twin: MemoryTwin, client: Client, database: Database[Document]
) -> None:
    database.create_collection("posts")
    with Capturing(twin) as capturing:
        capturing.until_ready()
        with client.start_session() as session, session.start_transaction():
            for number in range(10):
                database.posts.replace_one({"_id": 1}, post(1, str(number)), upsert=True, session=session)
            database.posts.insert_one(post(2), session=session)
            database.posts.delete_one({"_id": 1}, session=session)
        capturing.until_published("posts/int:1", "posts/int:2")
    assert twin.publisher.keys[-2:] == ["posts/int:2", "posts/int:1"]
    assert len(twin.publisher.keys) == 2


def test_a_stopped_capture_goes_on_where_it_stood(twin: MemoryTwin, database: Database[Document]) -> None:
    with Capturing(twin) as capturing:
        capturing.until_ready()
        database.posts.insert_one(post(1))
        capturing.until_published("posts/int:1")
    published = len(twin.publisher.keys)
    database.posts.insert_one(post(2))
    with Capturing(twin) as capturing:
        capturing.until_published("posts/int:2")
    assert twin.publisher.keys[published:] == ["posts/int:2"]


def test_a_broker_that_is_down_is_waited_for_and_nothing_is_lost(
    twin: MemoryTwin, database: Database[Document]
) -> None:
    with Capturing(twin) as capturing:
        capturing.until_ready()
        twin.publisher.is_down = True
        database.posts.insert_one(post(1))
        wait_until(lambda: capturing.progress.waiting_for == "RabbitMQ", what="waiting for RabbitMQ")
        database.posts.insert_one(post(2))
        twin.publisher.is_down = False
        capturing.until_published("posts/int:1", "posts/int:2")
        wait_until(lambda: not capturing.progress.waiting_for, what="going on")


def test_a_stop_while_waiting_ends_at_once(twin: MemoryTwin) -> None:
    twin.publisher.is_down = True
    with Capturing(twin) as capturing:
        wait_until(lambda: capturing.progress.waiting_for, what="waiting")
    assert twin.meta.load_position() is None


def test_a_snapshot_that_was_stopped_begins_anew(
    twin: MemoryTwin, database: Database[Document], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(republish, "PAGE", 1)
    database.posts.insert_many([post(number) for number in range(3)])
    stop = threading.Event()

    def stop_at_the_first(progress: CaptureProgress) -> None:
        if progress.published:
            stop.set()

    capture.run_capture(twin, stop=stop, report=stop_at_the_first)  # type: ignore[arg-type]
    assert twin.publisher.keys == ["posts/int:0"]
    assert twin.meta.load_position() is None
    with Capturing(twin) as capturing:
        capturing.until_ready()
    assert twin.publisher.keys[1:] == [f"posts/int:{number}" for number in range(3)]


def test_a_generation_without_its_collection_holds_nothing(twin: MemoryTwin) -> None:
    twin.store.heads.pop(hold(twin, "int:1").collection)
    with Capturing(twin) as capturing:
        capturing.until_ready()
    assert twin.publisher.keys == []


def test_a_cursor_that_the_server_dropped_is_opened_again(
    twin: MemoryTwin, client: Client, database: Database[Document]
) -> None:
    with Capturing(twin) as capturing:
        capturing.until_ready()
        kill_change_streams(client, database.name)
        wait_until(lambda: "MongoDB" in capturing.waited_for, what="waited for MongoDB")
        database.posts.insert_one(post(1))
        capturing.until_published("posts/int:1")


def kill_change_streams(client: Client, database: str) -> None:
    def find() -> list[Any]:
        admin = client.admin.with_options(read_concern=ReadConcern())
        operations = admin.aggregate([{"$currentOp": {"idleCursors": True}}])
        return [
            operation["cursor"]["cursorId"]
            for operation in operations
            if operation.get("ns") == f"{database}.$cmd.aggregate" and "cursor" in operation
        ]

    cursors = wait_until(find, what="an open change stream")
    client[database].command({"killCursors": "$cmd.aggregate", "cursors": cursors})


def test_a_lost_position_publishes_all_documents_and_all_that_vanished(
    twin: MemoryTwin, database: Database[Document]
) -> None:
    database.posts.insert_one(post(1))
    with Capturing(twin) as capturing:
        capturing.until_ready()
        database.posts.insert_one(post(2))
        capturing.until_published("posts/int:2")
    lose_position(twin, database)
    hold(twin, "int:1", "int:2", "int:3")
    published = len(twin.publisher.keys)
    with Capturing(twin) as capturing:
        wait_until(lambda: capturing.progress.recovered, what="recovered")
        database.posts.insert_one(post(4))
        capturing.until_published("posts/int:4")
    again = twin.publisher.changes[published:]
    entries = ["int:1", "int:2", "int:3", "int:4", "str:unseen"]
    assert sorted(change.entry for change in again) == entries
    assert [change.key for change in again if change.hint is Hint.DELETE] == ["posts/int:3"]


def test_a_document_written_late_by_the_stream_is_found_behind_the_watermark(twin: MemoryTwin) -> None:
    generation = hold(twin)
    with Capturing(twin) as capturing:
        capturing.until_ready()
        assert twin.meta.load_recheck() is not None
        twin.store.heads[generation.collection] = ["int:7"]
        assert twin.publisher.keys == []
        apply_markers(twin)
        capturing.until_published("posts/int:7")
        wait_until(lambda: twin.meta.load_recheck() is None, what="looked over")


def test_missing_queues_publish_everything_again(twin: MemoryTwin, database: Database[Document]) -> None:
    database.posts.insert_one(post(1))
    with Capturing(twin) as capturing:
        capturing.until_ready()
    twin.publisher.messages.clear()
    twin.publisher.missing = ["twin.changes.1"]
    with Capturing(twin) as capturing:
        capturing.until_published("posts/int:1")
        wait_until(lambda: capturing.progress.recovered == 1, what="recovered")


@pytest.mark.parametrize("how", ["drop", "rename", "replace"])
def test_a_type_that_is_dropped_or_renamed_is_published_as_a_whole(
    twin: MemoryTwin, database: Database[Document], how: str
) -> None:
    database.posts.insert_one(post(1))
    database.staging.insert_one(post(2))
    hold(twin, "int:1")
    with Capturing(twin) as capturing:
        capturing.until_ready()
        if how == "drop":
            database.posts.drop()
        elif how == "rename":
            database.posts.rename("old_posts")
        else:
            database.staging.rename("posts", dropTarget=True)
        wait_until(lambda: capturing.progress.recovered, what="recovered")
        database.posts.insert_one(post(3))
        capturing.until_published("posts/int:3")
    deleted = {change.key for change in twin.publisher.changes if change.hint is Hint.DELETE}
    assert deleted == {"posts/int:1"}
    assert ("posts/int:2" in twin.publisher.keys) == (how == "replace")


def test_a_dropped_database_is_published_as_a_whole_and_watched_on(
    twin: MemoryTwin, client: Client, database: Database[Document]
) -> None:
    database.posts.insert_one(post(1))
    hold(twin, "int:1")
    with Capturing(twin) as capturing:
        capturing.until_ready()
        client.drop_database(database.name)
        wait_until(lambda: capturing.progress.recovered, what="recovered")
        database.posts.insert_one(post(2))
        capturing.until_published("posts/int:2")
    assert {change.key for change in twin.publisher.changes if change.hint is Hint.DELETE} == {"posts/int:1"}


def test_recovery_waits_for_qdrant_without_filling_the_queues(
    twin: MemoryTwin, database: Database[Document]
) -> None:
    database.posts.insert_one(post(1))
    hold(twin, "int:1")
    twin.store.is_down = True
    with Capturing(twin) as capturing:
        wait_until(lambda: capturing.progress.waiting_for == "Qdrant", what="waiting for Qdrant")
        assert twin.publisher.keys == []
        twin.store.is_down = False
        capturing.until_ready()
    assert twin.publisher.keys == ["posts/int:1"]


def test_an_unsupported_id_is_a_dead_letter_and_its_neighbours_go_on(
    twin: MemoryTwin, database: Database[Document]
) -> None:
    with Capturing(twin) as capturing:
        capturing.until_ready()
        database.posts.insert_many([post(1), post(2.5), post(3)])
        capturing.until_published("posts/int:1", "posts/int:3")
        wait_until(lambda: twin.publisher.dead, what="the letter, which is published after them")
        assert [(letter.stage, letter.type) for letter in twin.publisher.dead] == [
            ("capturing", DataType.POSTS)
        ]
        wait_until(lambda: capturing.progress.dead == 1, what="counted")


def test_an_idle_capture_moves_its_position_on(twin: MemoryTwin, database: Database[Document]) -> None:
    with Capturing(twin) as capturing:
        capturing.until_ready()
        database.unrelated.insert_one({"_id": 1})
        written = twin.source.now()
        wait_until(lambda: twin.publisher.markers[-1].position >= written, what="a marker behind the write")
        wait_until(lambda: saved_revision(twin) >= written, what="the position behind the write")


def saved_revision(twin: MemoryTwin) -> int:
    position = twin.meta.load_position()
    return 0 if position is None else position.revision


def test_an_older_mongodb_stops_it(twin: MemoryTwin) -> None:
    twin.meta.save_position(Position(None, twin.source.now() + revision_of(100, 0)))
    with pytest.raises(ClusterTimeWentBack), Capturing(twin) as capturing:
        capturing.join()


def test_another_number_of_queues_stops_it(twin: MemoryTwin) -> None:
    twin.meta.check_queues(QUEUES + 1)
    with pytest.raises(ConfigurationError, match="TWIN_RABBITMQ_QUEUES"), Capturing(twin) as capturing:
        capturing.join()


def test_two_fruitless_recoveries_stop_it_and_name_the_oplog(
    twin: MemoryTwin, monkeypatch: pytest.MonkeyPatch
) -> None:
    class LostStream:
        opened = 0

        def __init__(self, *_: Any) -> None:
            pass

        def __enter__(self) -> None:
            LostStream.opened += 1
            raise PositionLost("gone")

        def __exit__(self, *_: Any) -> None:
            pass

    monkeypatch.setattr(capture, "watch", LostStream)
    with pytest.raises(PositionLost, match="replSetResizeOplog"), Capturing(twin) as capturing:
        capturing.join()
    # Before everything is published it looks whether it may watch at all.
    assert LostStream.opened == 2 * 3
    assert capturing.progress.recovered == 2
