"""Erasure after all that can go wrong: nothing is left anywhere, and the proof can fail."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from qdrant_client.models import PointStruct

from twin_assets.cli.exit_codes import ExitCode
from twin_assets.faults import FaultPoint, arm
from twin_assets.models.generation import GenerationStatus
from twin_assets.models.kinds import DataType, Snapshot
from twin_assets.operations.rebuild import rebuild
from twin_assets.operations.twin import Twin
from twin_assets.settings import Settings
from twin_assets_tests.scenarios.chaos.faulty import faulty_run
from twin_assets_tests.scenarios.chaos.verdict import live
from twin_assets_tests.scenarios.documents import article, post, words
from twin_assets_tests.scenarios.processes import environment_of

pytestmark = [pytest.mark.servers, pytest.mark.slow, pytest.mark.chaos]

POST = DataType.POSTS
SECRET = "heliotrope"
TEXT = f"my {SECRET} diary of the winter nobody else remembers"
PROVE = ("erase", "--proof", "--json", "posts")
ERASE_S = 120.0
# Its vectors are not known to anybody, and it is nobody's generation.
FOREIGN = "notebook_of_somebody"
Proof = dict[str, Any]


def prove_erasure(settings: Settings, document_id: str = "1") -> tuple[int, Proof]:
    """Run `twin erase posts ID --proof --json`; return its exit code and what it printed."""
    done = subprocess.run(
        [sys.executable, "-m", "twin_assets", *PROVE, document_id],
        env=environment_of(settings),
        capture_output=True,
        text=True,
        timeout=ERASE_S,
        check=False,
    )
    assert SECRET not in done.stdout + done.stderr
    return done.returncode, json.loads(done.stdout or "{}")


def place_of(proof: Proof, name: str) -> dict[str, Any]:
    (found,) = [place for place in proof["places"] if place["name"] == name]
    return found


def generations_of(twin: Twin) -> dict[GenerationStatus, set[Snapshot]]:
    found: dict[GenerationStatus, set[Snapshot]] = {}
    for generation in twin.meta.generations(POST):
        found.setdefault(generation.status, set()).add(generation.snapshot)
    return found


def write_all_there_can_be(twin: Twin, documents, tally) -> None:
    """Have the text in a live, a standby and a half-built generation, and a refused version of it."""
    documents.posts.insert_many([post(1, TEXT + words(40)), post(2, "a neighbour that stays")])
    documents.articles.insert_one(article(1, "another document with this id"))
    tally.in_step()
    for snapshot in Snapshot:
        rebuild(twin, snapshot, POST)
    half_build(twin)
    tally.fault()
    documents.posts.replace_one({"_id": 1}, {"_id": 1, "platform": "p", "content": {"text": TEXT}})
    tally.in_step()
    assert twin.dead_letters.count() == 1
    both = set(Snapshot)
    assert generations_of(twin) == {
        GenerationStatus.LIVE: both,
        GenerationStatus.STANDBY: both,
        GenerationStatus.BUILDING: {Snapshot.VECTOR},
    }


class Cut(Exception):
    """Ends a rebuild in its middle."""


def half_build(twin: Twin) -> None:
    def cut(reached: FaultPoint) -> None:
        if reached is FaultPoint.BATCH_SCANNED:
            raise Cut

    disarm = arm(cut)
    try:
        with pytest.raises(Cut):
            rebuild(twin, Snapshot.VECTOR, POST)
    finally:
        disarm()


def assert_no_text_anywhere(twin: Twin, state: Path) -> None:
    """Look again, by other means than the command's."""
    for name in twin.collections.names():
        assert SECRET not in str([record.payload for record in twin.store.scroll(name)])
    records = twin.source.client[twin.settings.meta_database]
    for name in records.list_collection_names():
        assert SECRET not in str(records[name].find().to_list())
    assert SECRET not in str(twin.dead_letters.peek())
    assert [path for path in state.rglob("*.log") if SECRET in path.read_text()] == []


def test_an_erased_document_leaves_nothing_though_the_command_and_the_stream_were_killed_amid(
    twin, settings, documents, capturing, streaming, tally
):
    with capturing():
        with streaming():
            write_all_there_can_be(twin, documents, tally)
        with faulty_run(settings, "erase", "posts", "int:1", at=FaultPoint.DOCUMENT_DELETED) as erasing:
            erasing.await_fault(ERASE_S)
            erasing.await_death()
            tally.fault()
        with faulty_run(settings, "stream", at=FaultPoint.HEADS_WRITTEN) as stream:
            stream.await_fault(ERASE_S)
            stream.await_death()
            tally.fault()
        # It stands still until it knows the text, which the stream is about to delete.
        with faulty_run(settings, *PROVE, "1", at=FaultPoint.DOCUMENT_DELETED, does="STOP") as erasing:
            erasing.await_fault(ERASE_S)
            with streaming():
                erasing.go_on()
                assert erasing.process.wait(ERASE_S) == ExitCode.WELL, erasing.said()
                tally.settle()
        proof = json.loads(erasing.said())
    assert (proof["keys"], proof["state"]) == (["posts/int:1"], "already deleted")
    assert (proof["text_known"], proof["dead_letters_removed"]) == (True, 1)
    assert proof["left"] == 0
    for generation in twin.meta.generations(POST):
        place = place_of(proof, generation.collection)
        assert place["note"] == generation.status
        assert (place["by_key"], place["by_text"], place["kept"]) == (0, 0, 1)
    assert place_of(proof, "dead letters")["by_key"] == 0
    assert_no_text_anywhere(twin, settings.state_dir)


def test_text_that_was_put_elsewhere_is_found_and_fails_the_proof(
    twin, settings, documents, capturing, streaming, tally
):
    documents.posts.insert_many([post(1, TEXT), post(2, "a neighbour that stays")])
    with capturing(), streaming():
        tally.in_step()
        plant(twin, settings.state_dir)
        tally.fault(2)
        code, proof = prove_erasure(settings)
        assert (code, proof["left"]) == (ExitCode.CHECK_FAILED, 2)
        assert place_of(proof, FOREIGN)["by_text"] == 1
        (logs,) = [place for place in proof["places"] if place["place"] == "logs"]
        assert (logs["by_text"], logs["note"]) == (1, "careless.log")
        tally.settle()


def plant(twin: Twin, state: Path) -> None:
    """Copy the text into a collection of somebody else's and into a log."""
    twin.store.client.create_collection(FOREIGN, vectors_config={})
    points = [PointStruct(id=1, vector={}, payload={"note": f"he wrote: {TEXT}!"})]
    twin.store.client.upsert(FOREIGN, points, wait=True)
    (state / "careless.log").write_text(f"INFO now at: {TEXT}\n")


def test_a_document_that_was_deleted_before_is_proven_gone_by_its_key(
    twin, settings, documents, capturing, streaming, tally
):
    documents.posts.insert_many([post(1, TEXT), post(2, "a neighbour that stays")])
    with capturing():
        with streaming():
            tally.in_step()
        documents.posts.delete_one({"_id": 1})
        with faulty_run(settings, "stream", at=FaultPoint.STALE_DELETED) as stream:
            stream.await_fault(ERASE_S)
            stream.await_death()
            tally.fault()
        with streaming():
            tally.recover()
            code, proof = prove_erasure(settings)
            assert (code, proof["state"], proof["text_known"]) == (ExitCode.WELL, "already deleted", False)
            vectors = live(twin, Snapshot.VECTOR, POST)
            assert place_of(proof, vectors.collection)["by_text"] is None
            assert prove_erasure(settings, "int:404")[0] == ExitCode.WRONG_USAGE
            tally.settle()
