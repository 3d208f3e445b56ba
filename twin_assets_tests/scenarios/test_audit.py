"""The audit on real servers beside a flow at work: nothing is missed, and nobody is alarmed for nothing."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from uuid import uuid4
from xml.etree import ElementTree as ET

import pytest
from dagster import ExecuteInProcessResult
from typer.testing import CliRunner

from twin_assets.cli.app import app
from twin_assets.defs.repairing import repair_features
from twin_assets.defs.resources import TwinResource
from twin_assets.models.kinds import DataType, Snapshot
from twin_assets.operations.audit import AuditReport, audit
from twin_assets.operations.differences import Difference
from twin_assets.operations.repair import audit_live, await_mended, repair
from twin_assets.processing.hash_encoder import HashEncoder
from twin_assets_tests.scenarios.assertions import assert_clean
from twin_assets_tests.scenarios.documents import article, post, words
from twin_assets_tests.scenarios.people import await_more, writing
from twin_assets_tests.scenarios.processes import environment_of
from twin_assets_tests.scenarios.tampering import FUTURE, Hands
from twin_assets_tests.waiting import wait_until

pytestmark = pytest.mark.servers

POSTS = 60
FEW = POSTS // 20
STEADY_AUDITS = 12
# A pace that the stream keeps up with on a busy machine too: behind by more, an audit says so.
PACE_S = 0.1
WAIT_S = 240.0
STEADY_MINUTES = float(os.environ.get("TWIN_TEST_AUDIT_MINUTES", "30"))


@pytest.fixture
def filled(twin, documents, capturing, streaming, in_step) -> Iterator[None]:
    """A flow at work, and posts of a few chunks each."""
    documents.posts.insert_many([post(number, words(30, prefix=f"p{number}x")) for number in range(POSTS)])
    with capturing(), streaming():
        in_step()
        # The first look over is settled, which would mend what hands alter now.
        wait_until(lambda: twin.meta.load_recheck() is None, what="capture has looked over everything")
        in_step()
        yield


@pytest.fixture
def vector(twin, filled) -> Hands:
    return Hands(twin, twin.live_generation(Snapshot.VECTOR, DataType.POSTS))


@pytest.fixture
def cleaned(twin, filled) -> Hands:
    return Hands(twin, twin.live_generation(Snapshot.CLEANED, DataType.POSTS))


def look(twin, hands: Hands) -> AuditReport:
    report = audit(twin, hands.generation, with_vectors=True)
    assert report.confirmed
    return report


def entries(*numbers: int) -> list[str]:
    return sorted(f"int:{number}" for number in numbers)


@contextmanager
def counting_encoded(monkeypatch) -> Iterator[list[str]]:
    """Note every text that an encoder is given meanwhile."""
    encoded: list[str] = []
    encode = HashEncoder.encode

    def counted(self, texts):
        encoded.extend(texts)
        return encode(self, texts)

    with monkeypatch.context() as patched:
        patched.setattr(HashEncoder, "encode", counted)
        yield encoded


def tamper(vector: Hands, cleaned: Hands) -> tuple[dict, dict]:
    """Alter both collections so that their counts stay; return what an audit has to name in each."""
    lost, replaced = range(FEW), range(10, 10 + FEW)
    for number in lost:
        # A head for a head, and a chunk for a chunk: as many points as before.
        vector.copy(vector.head(number), to=vector.head(1000 + number), entry=f"int:{1000 + number}")
        vector.delete([vector.head(number)])
    for number in replaced:
        chunk = vector.chunks(number)[0]
        vector.copy(chunk.id, to=str(uuid4()), entry=f"int:{2000 + number}")
        vector.delete([chunk.id])
    vector.set(vector.chunks(20)[0].id, author_id="forged")
    vector.set(vector.chunks(21)[0].id, content="forged")
    vector.set(vector.chunks(22)[0].id, start=1)
    vector.swap_vectors(vector.chunks(23)[0], vector.chunks(24)[1])
    vector.set(vector.head(25), revision=FUTURE)
    vector.set(vector.chunks(26)[0].id, revision=FUTURE)
    vector.set(vector.head(27), settled=False)
    vector.set(vector.chunks(28)[0].id, recipe="0123456789ab")
    cleaned.set(cleaned.head(30), cleaned_content="forged")
    cleaned.set(cleaned.head(31), platform="forged")
    cleaned.set(cleaned.head(32), revision=FUTURE)
    cleaned.set(cleaned.head(33), source_hash="forged")
    # A head under an id of its own has no chunks: what it claims is orphaned, and incomplete.
    orphans = entries(*(1000 + number for number in lost))
    in_vectors = {
        Difference.MISSING: entries(*lost),
        Difference.HEADLESS: entries(*lost, *(2000 + number for number in replaced)),
        Difference.ORPHAN: orphans,
        Difference.INCOMPLETE: entries(27, *replaced, *(1000 + number for number in lost)),
        Difference.EDITED: entries(20, 21, 22, 25, 26, *(1000 + number for number in lost)),
        Difference.UNSOUND_VECTOR: entries(23, 24),
        Difference.WRONG_RECIPE: entries(28),
    }
    return in_vectors, {Difference.EDITED: entries(30, 31, 32), Difference.STALE: entries(33)}


def test_everything_that_hands_have_altered_is_named_counted_and_mended(twin, vector, cleaned, monkeypatch):
    points = twin.store.count(vector.generation.collection)
    in_vectors, in_cleaned = tamper(vector, cleaned)
    assert twin.store.count(vector.generation.collection) == points
    assert look(twin, vector).differences == in_vectors
    assert look(twin, cleaned).differences == in_cleaned
    altered = set(range(FEW)) | set(range(10, 10 + FEW)) | set(range(20, 29)) | set(range(30, 34))
    with counting_encoded(monkeypatch) as encoded:
        result = repair(twin, *audit_live(twin))
        await_mended(twin, result, wait_s=60)
    assert result.remaining == {}
    strangers = {1000 + number for number in range(FEW)} | {2000 + number for number in range(10, 10 + FEW)}
    assert set(result.changes[DataType.POSTS]) == set(entries(*altered, *strangers))
    assert_clean(twin)
    authors = {text.split("x")[0] for text in encoded}
    assert authors == {f"p{number}" for number in altered}


def test_an_old_snapshot_of_a_collection_is_seen_through_and_mended(twin, documents, vector, in_step):
    snapshot = vector.snapshot()
    documents.posts.update_many({"_id": {"$in": [1, 2, 3]}}, {"$set": {"content": {"text": "newer"}}})
    documents.posts.delete_many({"_id": {"$in": [4, 5]}})
    documents.posts.insert_many([post(number, words(30)) for number in (104, 105)])
    in_step()
    before = audit(twin, vector.generation)
    assert before.clean
    vector.restore(snapshot)
    report = look(twin, vector)
    assert report.heads == before.heads
    assert report.differences == {
        Difference.STALE: entries(1, 2, 3),
        Difference.ORPHAN: entries(4, 5),
        Difference.MISSING: entries(104, 105),
    }
    result = repair(twin, *audit_live(twin, [DataType.POSTS]))
    await_mended(twin, result, wait_s=60)
    assert result.is_mended
    assert_clean(twin)


def audits_under_writes(twin, documents, *, is_over) -> int:
    """Audit all collections of two types again and again while people write; every one has to be clean."""
    made = 0
    documents.articles.insert_many([article(number, words(20)) for number in range(FEW)])
    with writing(documents, pace_s=PACE_S) as written:
        await_more(written, 5)
        while not is_over(made):
            for data_type in (DataType.POSTS, DataType.ARTICLES):
                for snapshot in Snapshot:
                    live = twin.live_generation(snapshot, data_type)
                    report = audit(twin, live, with_vectors=made % 2 == 0, wait_s=WAIT_S)
                    assert (report.differences, report.confirmed) == ({}, True), (made, live.alias)
                    made += 1
            await_more(written, 1)
    return made


def test_steady_writes_alarm_nobody(twin, documents, filled):
    assert audits_under_writes(twin, documents, is_over=lambda made: made >= STEADY_AUDITS) >= STEADY_AUDITS


@pytest.mark.nightly
@pytest.mark.timeout(int(STEADY_MINUTES * 60) + 600)
def test_half_an_hour_of_steady_writes_alarms_nobody(twin, documents, filled):
    end = time.monotonic() + STEADY_MINUTES * 60
    made = audits_under_writes(twin, documents, is_over=lambda _: time.monotonic() > end)
    assert made >= STEADY_AUDITS
    assert_clean(twin)


def test_a_difference_amid_steady_writes_is_found(twin, documents, vector, cleaned):
    with writing(documents, pace_s=PACE_S) as written:
        await_more(written, 5)
        vector.set(vector.head(POSTS - 1), revision=FUTURE)
        cleaned.set(cleaned.head(POSTS - 2), cleaned_content="forged")
        await_more(written, 5)
        assert look(twin, vector).differences == {Difference.EDITED: entries(POSTS - 1)}
        assert look(twin, cleaned).differences == {Difference.EDITED: entries(POSTS - 2)}


@pytest.fixture
def command(settings, monkeypatch, filled):
    """Run a command of `twin` on the same servers; return its exit code and what it printed."""

    def run(*arguments: str) -> tuple[int, str]:
        for name, value in environment_of(settings).items():
            monkeypatch.setenv(name, value)
        result = CliRunner().invoke(app, list(arguments))
        return result.exit_code, result.stdout

    return run


def test_the_command_says_what_it_would_do_does_it_and_says_what_it_did(twin, vector, command, tmp_path):
    vector.set(vector.head(1), revision=FUTURE)
    vector.copy(vector.chunks(2)[0].id, to=7, entry=None)
    code, said = command("check", "--junit", str(tmp_path / "checks.xml"))
    assert code == 1
    assert "FAILED qdrant/vector_posts matches_source" in said
    suite = ET.parse(tmp_path / "checks.xml").getroot()[0]
    assert (suite.get("tests"), suite.get("failures")) == ("36", "2")
    code, said = command("repair", "posts", "--dry-run", "--json")
    planned = json.loads(said)
    assert (code, planned["dry_run"], planned["remaining"]) == (0, True, None)
    assert planned["found"]["vector_posts"] == {"edited": ["int:1"], "headless": ["point:7"]}
    assert command("repair", "articles")[1].startswith("0 documents were processed anew (nothing differs)")
    code, said = command("repair", "posts", "--json")
    done = json.loads(said)
    assert (code, done["processed"], done["foreign_points"]) == (0, {"posts": ["int:1"]}, 1)
    assert (done["unconfirmed"], done["remaining"]) == ([], {})
    assert command("check")[0] == 0
    assert_clean(twin)


def test_the_command_looks_at_what_changed_since_the_last_time(vector, command):
    scope = "changes since the last audit and"

    def scopes(*arguments: str) -> list[str]:
        code, said = command("check", "--json", *arguments)
        assert code == 0
        return [check["metadata"]["scope"] for check in json.loads(said) if "scope" in check["metadata"]]

    assert not [each for each in scopes("--since-last") if scope in each]
    assert all(scope in each for each in scopes("--since-last"))
    vector.set(vector.head(1), revision=FUTURE)
    code, said = command("check", "--since-last")
    assert code == 1
    assert "FAILED qdrant/vector_posts matches_source" in said


def executed(settings, monkeypatch, **config) -> ExecuteInProcessResult:
    for name, value in environment_of(settings).items():
        monkeypatch.setenv(name, value)
    return repair_features.execute_in_process(
        run_config={"ops": {"repair": {"config": config}}},
        resources={"twin": TwinResource()},
        raise_on_error=False,
    )


def test_the_job_mends_up_to_its_limit_and_reports_counts_and_ids(twin, vector, settings, monkeypatch):
    for number in range(3):
        vector.delete([vector.chunks(number)[0].id])
    refused = executed(settings, monkeypatch, limit=2)
    assert not refused.success
    assert (
        "3 documents differ, more than the limit of 2"
        in refused.failure_data_for_node("repair").user_failure_data.description
    )
    assert not audit(twin, vector.generation).clean
    result = executed(settings, monkeypatch, limit=3, types=["posts"])
    assert result.success
    [output] = [event for event in result.all_events if event.is_successful_output]
    metadata = output.event_specific_data.metadata
    assert metadata["documents"].value == 3
    assert metadata["posts_ids"].value == entries(0, 1, 2)
    [row] = metadata["found"].records
    assert row.data == {
        "collection": "vector_posts",
        "difference": "incomplete",
        "count": 3,
        "first": "int:0, int:1, int:2",
    }
    assert_clean(twin)
