"""The fenced write against a real Qdrant, alone and against a rival that was stopped between two steps."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace

import pytest

from twin_assets.models.kinds import Snapshot
from twin_assets.store.generations import GenerationCollections
from twin_assets.store.point_store import PointStore
from twin_assets.store.writer import GenerationWriter
from twin_assets_tests.store.builders import embed, generation, refused, wanted

pytestmark = pytest.mark.servers


def words(store: PointStore, collection: str, entry: str = "int:1") -> list[str]:
    records = [record.payload for record in store.scroll(collection) if record.payload["entry"] == entry]
    chunks = [payload for payload in records if not payload.get("head")]
    return [payload["content"] for payload in sorted(chunks, key=lambda each: each["chunk_index"])]


def head(store: PointStore, collection: str):
    return next(iter(store.scan_heads(collection)), None)


def test_a_new_document_ends_settled_with_all_its_chunks(store, vectors, write):
    write("a b c", revision=5)
    assert words(store, vectors.collection) == ["a", "b", "c"]
    found = head(store, vectors.collection)
    assert (found.revision, found.settled, found.chunk_count) == (5, True, 3)


def test_a_shorter_version_leaves_no_orphan_chunk(store, vectors, write):
    write("a b c", revision=5)
    write("b", revision=6)
    assert words(store, vectors.collection) == ["b"]


def test_a_kept_chunk_moves_to_its_new_place_without_a_new_vector(store, vectors, write):
    write("a b", revision=5)
    writer = GenerationWriter(store, vectors, revision=6)
    plans = writer.plan([wanted("x b a")])
    assert [chunk.content for chunk in plans[0].new] == ["x"]
    writer.stage((plans[0], chunk) for chunk in embed(plans[0].new))
    writer.finish(plans, embed=embed)
    assert words(store, vectors.collection) == ["x", "b", "a"]


def test_an_unchanged_document_moves_its_head_and_its_chunks(store, vectors, write):
    write("a b", revision=5)
    write("a b", revision=9)
    assert head(store, vectors.collection).revision == 9
    revisions = {record.payload["revision"] for record in store.scroll(vectors.collection)}
    assert revisions == {9}


def test_an_older_read_changes_nothing(store, vectors, write):
    write("new text", revision=9)
    write("old words", revision=5)
    assert words(store, vectors.collection) == ["new", "text"]


def test_a_delete_leaves_a_tombstone_that_refuses_older_reads(store, vectors, write):
    write("a b", revision=5)
    write(None, revision=7)
    write("a b", revision=6)
    assert words(store, vectors.collection) == []
    found = head(store, vectors.collection)
    assert (found.deleted, found.settled, found.revision) == (True, True, 7)
    payload = next(store.scroll(vectors.collection)).payload
    assert "content" not in payload
    assert "cleaned_content" not in payload


def test_equal_text_in_two_documents_stays_two_points(store, vectors, write):
    write("same", revision=5, entry="int:1")
    write("same", revision=5, entry="int:2")
    write(None, revision=6, entry="int:1")
    assert words(store, vectors.collection, "int:2") == ["same"]


def test_a_refused_version_keeps_the_last_good_one(store, vectors, write):
    write("a b", revision=5)
    writer = GenerationWriter(store, vectors, revision=6)
    writer.finish(writer.plan([refused("bad")]), embed=embed)
    assert words(store, vectors.collection) == ["a", "b"]
    found = head(store, vectors.collection)
    assert (found.quarantined, found.revision) == (True, 6)
    write("a b", revision=7)
    assert not head(store, vectors.collection).quarantined


def test_a_forced_write_overrides_a_forged_revision(store, vectors, write):
    write("a b", revision=5)
    forged = 1 << 50
    for record in list(store.scroll(vectors.collection)):
        store.client.set_payload(vectors.collection, {"revision": forged}, points=[record.id])
    writer = GenerationWriter(store, vectors, revision=9)
    documents = [wanted("a c", force=True)]
    writer.override(documents, above=10)
    plans = writer.plan(documents)
    writer.stage((plans[0], chunk) for chunk in embed(plans[0].new))
    writer.finish(plans, embed=embed)
    assert words(store, vectors.collection) == ["a", "c"]


def test_the_cleaned_snapshot_holds_the_text_until_the_delete(store):
    cleaned = generation(Snapshot.CLEANED)
    GenerationCollections(store).create(cleaned)
    for text, revision in (("a b", 5), ("a c", 6), (None, 7)):
        writer = GenerationWriter(store, cleaned, revision=revision)
        writer.finish(writer.plan([replace(wanted(text), chunks=())]), embed=embed)
        payload = next(store.scroll(cleaned.collection)).payload
        assert payload.get("cleaned_content") == text
        assert payload["revision"] == revision


class PausingStore(PointStore):
    """Stops its user before the n-th write until it is let go: a zombie on order."""

    def __init__(self, url: str, *, pause_before: int) -> None:
        super().__init__(url)
        self.paused, self.let_go = threading.Event(), threading.Event()
        self._left = pause_before

    def _maybe_pause(self) -> None:
        if self._left == 0:
            self.paused.set()
            assert self.let_go.wait(30)
        self._left -= 1

    def upsert(self, *arguments, **named) -> None:
        self._maybe_pause()
        super().upsert(*arguments, **named)

    def set_payloads(self, *arguments, **named) -> None:
        self._maybe_pause()
        super().set_payloads(*arguments, **named)

    def delete(self, *arguments, **named) -> None:
        self._maybe_pause()
        super().delete(*arguments, **named)


WRITES = 7


@pytest.mark.parametrize("pause_before", range(WRITES))
@pytest.mark.parametrize(
    ("first", "zombie", "newest"),
    [
        ("a b c", "a b d", "a b c"),  # the newest read finds what it wants: a touch against a zombie
        ("a b c", "c b a", "a b c"),  # the zombie only moves chunks
        ("a b c", "b", "a b c"),
        ("a b", "a b c", None),
        ("a b", None, "a b"),
        ("a b", "a x", "x b"),
    ],
)
def test_a_zombie_never_wins_wherever_it_was_stopped(
    store, vectors, write, qdrant_url, pause_before, first, zombie, newest
):
    write(first, revision=5)
    slow = PausingStore(qdrant_url, pause_before=pause_before)
    thread = threading.Thread(target=_late_write(slow, vectors, zombie), daemon=True)
    thread.start()
    while not slow.paused.wait(0.01) and thread.is_alive():
        pass
    write(newest, revision=7)
    slow.let_go.set()
    thread.join(30)
    slow.close()
    assert not thread.is_alive()
    assert words(store, vectors.collection) == (newest.split() if newest else [])
    found = head(store, vectors.collection)
    assert (found.revision, found.deleted) == (7, newest is None)


def _late_write(store: PointStore, vectors, text: str | None) -> Callable[[], None]:
    def run() -> None:
        writer = GenerationWriter(store, vectors, revision=6)
        plans = writer.plan([wanted(text)])
        for plan in plans:
            writer.stage((plan, chunk) for chunk in embed(plan.new))
        writer.finish(plans, embed=embed)

    return run
