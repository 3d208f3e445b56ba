from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest

from twin_assets.models.kinds import DataType, Snapshot
from twin_assets.operations import since_last
from twin_assets.operations.audit import EVERYTHING
from twin_assets.operations.checks import evaluate_checks
from twin_assets.operations.differences import Difference
from twin_assets.operations.look import Look
from twin_assets.operations.passes import Passes
from twin_assets.operations.repair import remove_foreign_points
from twin_assets.operations.since_last import audit_since_last
from twin_assets_tests.operations.auditing import Spoiler, change, move_watermark, post

pytestmark = pytest.mark.servers

DOCUMENTS = 30
START = datetime(2026, 1, 1, tzinfo=UTC)
FUTURE = 1 << 52


class Hours:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> datetime:
        return self.now

    def pass_by(self, hours: float) -> None:
        self.now += timedelta(hours=hours)


@pytest.fixture
def spoiler(twin, documents, apply, monkeypatch) -> Spoiler:
    """A generation that was audited in full an hour ago; its pages are small."""
    monkeypatch.setattr(since_last, "PAGE", 2)
    twin.audits.keep([])
    documents.posts.insert_many([post(number) for number in range(DOCUMENTS)])
    apply([change(number) for number in range(DOCUMENTS)])
    move_watermark(twin)
    return Spoiler(twin, Snapshot.VECTOR)


@pytest.fixture
def hours() -> Hours:
    return Hours()


@pytest.fixture
def again(twin, spoiler, hours):
    """Audit once in full; then, at each call, what is due an hour later."""
    first = audit_since_last(twin, spoiler.generation, now=hours)
    assert (first.scope, first.differences) == (EVERYTHING, {})

    def run(passed_hours: float = 1.0, **options):
        hours.pass_by(passed_hours)
        return audit_since_last(twin, spoiler.generation, now=hours, **options)

    return run


@pytest.fixture
def looked(monkeypatch) -> list[str]:
    """The documents that were looked at, in their order."""
    looked: list[str] = []
    look = Look.__call__

    def noted(self, entries):
        looked.extend(entries)
        return look(self, entries)

    monkeypatch.setattr(Look, "__call__", noted)
    return looked


def test_what_changed_is_looked_at_and_a_slice_of_the_rest(twin, documents, apply, spoiler, again, looked):
    again()
    assert looked == ["int:0", "int:1"]
    looked.clear()
    documents.posts.replace_one({"_id": 20}, post(20, "edited"))
    documents.posts.delete_one({"_id": 25})
    apply([change(20), change(25)])
    move_watermark(twin)
    report = again()
    assert report.differences == {}
    assert sorted(looked) == ["int:2", "int:20", "int:25", "int:3"]
    assert (report.source, report.heads) == (DOCUMENTS - 1, DOCUMENTS - 1)
    assert report.chunks == twin.store.count_chunks(spoiler.generation.collection)
    assert "changes since the last audit and 4.6% of everything" in report.scope


def test_a_change_that_no_capture_has_seen_is_found(documents, again):
    documents.posts.replace_one({"_id": 20}, post(20, "edited"))
    documents.posts.insert_one(post(40))
    documents.posts.delete_one({"_id": 25})
    assert again().differences == {
        Difference.STALE: ["int:20"],
        Difference.MISSING: ["int:40"],
        Difference.ORPHAN: ["int:25"],
    }


def test_what_hands_wrote_above_the_last_revision_is_found_at_once(twin, spoiler, again):
    now = twin.source.now()
    spoiler.put(spoiler.chunk(20), point_id=str(uuid4()), entry="int:77", revision=now)
    spoiler.set(spoiler.head_id(21), revision=FUTURE)
    assert again().differences == {Difference.HEADLESS: ["int:77"], Difference.EDITED: ["int:21"]}


def test_every_document_and_every_point_is_looked_at_within_the_cycle(
    twin, spoiler, again, looked, hours, monkeypatch
):
    points: set[str] = set()
    suspects = Passes._suspects

    def noted(self, page):
        points.update(point.point_id for point in page.points)
        return suspects(self, page)

    monkeypatch.setattr(Passes, "_suspects", noted)
    state = twin.audits.load(spoiler.generation.collection)
    made = 0
    while twin.audits.load(spoiler.generation.collection).cycle_began_at == state.cycle_began_at:
        assert again().differences == {}
        made += 1
    assert hours.now <= START + timedelta(hours=twin.settings.audit_cycle_hours)
    assert made > 10
    assert set(looked) >= {f"int:{number}" for number in range(DOCUMENTS)}
    assert points == {str(record.id) for record in twin.store.scroll(spoiler.generation.collection)}


def test_what_hands_altered_is_found_within_the_cycle_and_kept_in_mind_until_it_is_mended(
    twin, apply, spoiler, again
):
    spoiler.set(str(spoiler.chunk(28).id), content="forged")
    lost = str(uuid4())
    twin.store.client.upsert(
        spoiler.generation.collection, [{"id": lost, "vector": {}, "payload": {"stray": True}}], wait=True
    )
    found: list[set[Difference]] = []
    for _ in range(24):
        report = again()
        assert set(found[-1] if found else ()) <= set(report.differences)
        found.append(set(report.differences))
    assert report.differences == {Difference.EDITED: ["int:28"], Difference.HEADLESS: [f"point:{lost}"]}
    remove_foreign_points(twin, report)
    assert again().differences == {Difference.EDITED: ["int:28"]}
    apply([change(28).model_copy(update={"force": True})])
    assert again().differences == {}


def test_a_cycle_that_would_end_too_late_is_ended_now(twin, spoiler, again, looked):
    report = again(30)
    assert sorted(set(looked)) == sorted(f"int:{number}" for number in range(DOCUMENTS))
    assert "the rest of everything" in report.scope
    assert twin.audits.load(spoiler.generation.collection).covered_at == START


def test_an_audit_that_nobody_could_confirm_is_made_again(twin, documents, spoiler, again):
    before = twin.audits.load(spoiler.generation.collection)
    documents.posts.replace_one({"_id": 20}, post(20, "edited"))
    twin.source.client[twin.settings.meta_database].drop_collection("queues")
    report = again(wait_s=0)
    assert (report.differences, report.confirmed) == ({Difference.STALE: ["int:20"]}, False)
    assert twin.audits.load(spoiler.generation.collection) == before
    move_watermark(twin)
    report = again()
    assert (report.differences, report.confirmed) == ({Difference.STALE: ["int:20"]}, True)


def test_a_dropped_collection_is_looked_at_in_full(documents, again):
    documents.posts.drop()
    report = again()
    assert report.scope == EVERYTHING
    assert report.count(Difference.ORPHAN) == DOCUMENTS


def test_a_history_that_does_not_reach_back_is_made_good_by_a_full_audit(twin, spoiler, again):
    state = twin.audits.load(spoiler.generation.collection)
    twin.audits.save(state.model_copy(update={"revision": 1 << 20}))
    assert again().scope == EVERYTHING
    assert again().scope != EVERYTHING


def test_very_many_differences_ask_for_a_full_audit_until_they_are_gone(
    twin, documents, apply, spoiler, again, monkeypatch
):
    monkeypatch.setattr(since_last, "OPEN_AT_MOST", 3)
    documents.posts.delete_many({"_id": {"$lt": 5}})
    assert again().count(Difference.ORPHAN) == 5
    assert again().scope == EVERYTHING
    apply([change(number) for number in range(5)])
    assert (again().scope, again().scope == EVERYTHING) == (EVERYTHING, False)


def test_the_checks_go_on_where_the_last_ones_ended(twin, documents, spoiler):
    wanted = [(Snapshot.VECTOR, DataType.POSTS)]
    scopes = [
        next(result for result in evaluate_checks(twin, wanted, since_last=True)).metadata["scope"]
        for _ in range(2)
    ]
    assert scopes[0] == EVERYTHING
    assert str(scopes[1]).startswith("changes since the last audit")
    documents.posts.replace_one({"_id": 20}, post(20, "edited"))
    failed = [each.check for each in evaluate_checks(twin, wanted, since_last=True) if not each.passed]
    assert failed == ["matches_source"]


def test_states_of_generations_that_are_gone_are_forgotten(twin, spoiler, hours):
    audit_since_last(twin, spoiler.generation, now=hours)
    state = twin.audits.load(spoiler.generation.collection)
    twin.audits.save(state.model_copy(update={"collection": "vector_posts__g9999"}))
    cleaned = Spoiler(twin, Snapshot.CLEANED).generation
    audit_since_last(twin, cleaned, now=hours)
    assert twin.audits.load("vector_posts__g9999") is None
    assert twin.audits.load(spoiler.generation.collection) == state
