from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from twin_assets.models.ages import AgeHistogram
from twin_assets.models.change import DeadLetter, Marker
from twin_assets.models.generation import GenerationStatus
from twin_assets.models.kinds import DataType, Snapshot
from twin_assets.operations import predicates
from twin_assets.operations.audit import audit
from twin_assets.operations.checks import CHECKS, GATE, check_generation, evaluate_checks
from twin_assets_tests.operations.auditing import WORDS, Spoiler, change, move_watermark, post

pytestmark = pytest.mark.servers

POSTS = [(snapshot, DataType.POSTS) for snapshot in Snapshot]


@pytest.fixture
def filled(twin, documents, apply):
    documents.posts.insert_many([post(number) for number in (1, 2, 3)])
    apply([change(number) for number in (1, 2, 3)])
    move_watermark(twin)
    return twin


def results(twin, **options):
    found = evaluate_checks(twin, POSTS, **options)
    return {(result.asset, result.check): result for result in found}


def failed(twin, **options) -> set[tuple[str, str]]:
    return {key for key, result in results(twin, **options).items() if not result.passed}


def test_a_healthy_twin_passes_every_check_on_every_collection(filled):
    found = evaluate_checks(filled)
    assert [result for result in found if not result.passed] == []
    assert len(found) == len({(result.asset, result.check) for result in found}) == 36
    assert {result.check for result in found} == set(CHECKS)


def test_metadata_is_plain_and_holds_no_text(filled):
    for result in results(filled).values():
        for value in result.metadata.values():
            items = value if isinstance(value, list) else [value]
            assert all(isinstance(item, int | float | str) for item in items)
            assert not any(WORDS[:20] in str(item) for item in items)


def test_one_audit_serves_all_checks_of_a_collection(filled, monkeypatch):
    audited = []

    def counted(twin, generation, **options):
        audited.append(generation.alias)
        return audit(twin, generation, **options)

    monkeypatch.setattr(predicates, "audit", counted)
    evaluate_checks(filled, POSTS)
    assert audited == ["cleaned_posts", "vector_posts"]
    evaluate_checks(filled, POSTS, ["is_caught_up", "has_no_dead_letters", "has_current_recipe"])
    assert len(audited) == 2


def test_an_edited_document_that_did_not_arrive_fails_matches_source(filled, documents):
    documents.posts.replace_one({"_id": 1}, post(1, "edited"))
    assert failed(filled) == {
        ("qdrant/cleaned_posts", "matches_source"),
        ("qdrant/vector_posts", "matches_source"),
    }
    metadata = results(filled)["qdrant/vector_posts", "matches_source"].metadata
    assert (metadata["stale"], metadata["stale_ids"], metadata["missing"]) == (1, ["int:1"], 0)
    assert "twin repair" in metadata["note"]


def test_a_lost_chunk_fails_is_complete_alone(filled):
    spoiler = Spoiler(filled, Snapshot.VECTOR)
    spoiler.delete(str(spoiler.chunk(1).id))
    assert failed(filled) == {("qdrant/vector_posts", "is_complete")}


@pytest.mark.parametrize("snapshot", list(Snapshot))
def test_an_altered_text_fails_matches_source(filled, snapshot):
    spoiler = Spoiler(filled, snapshot)
    if snapshot is Snapshot.CLEANED:
        spoiler.set(spoiler.head_id(1), cleaned_content="altered")
    else:
        spoiler.set(str(spoiler.chunk(1).id), content="altered")
    asset = f"qdrant/{snapshot.value}_posts"
    assert failed(filled) == {(asset, "matches_source")}
    assert failed(filled, names=["matches_source"]) == {(asset, "matches_source")}
    metadata = results(filled)[asset, "matches_source"].metadata
    assert (metadata["edited"], metadata["edited_ids"]) == (1, ["int:1"])


def test_an_altered_vector_fails_vectors_are_sound(filled):
    spoiler = Spoiler(filled, Snapshot.VECTOR)
    spoiler.put(spoiler.chunk(1), vector=[1.0] + [0.0] * 31)
    assert failed(filled) == {("qdrant/vector_posts", "vectors_are_sound")}


def test_changed_settings_ask_for_a_rebuild(filled, monkeypatch):
    monkeypatch.setattr(filled, "settings", filled.settings.model_copy(update={"text_chunk_size": 70}))
    assert failed(filled) == {("qdrant/vector_posts", "has_current_recipe")}
    metadata = results(filled)["qdrant/vector_posts", "has_current_recipe"].metadata
    assert metadata["current"] == 0
    assert "twin rebuild posts" in metadata["note"]


def test_a_model_that_is_not_there_fails_its_check_and_says_which(filled, monkeypatch):
    monkeypatch.setattr(
        filled, "settings", filled.settings.model_copy(update={"text_model": "no/such-model"})
    )
    metadata = results(filled)["qdrant/vector_posts", "has_current_recipe"].metadata
    assert "no/such-model" in metadata["note"]


def test_points_of_another_recipe_are_counted(filled):
    spoiler = Spoiler(filled, Snapshot.VECTOR)
    spoiler.set(str(spoiler.chunk(1).id), recipe="000000000000")
    result = results(filled)["qdrant/vector_posts", "has_current_recipe"]
    assert not result.passed
    assert "000000000000: 1" in result.metadata["recipes"]
    assert result.metadata["points"] == result.metadata["current"] + 1
    assert (result.metadata["wrong_recipe"], result.metadata["wrong_recipe_ids"]) == (1, ["int:1"])


def test_points_that_come_and_go_while_they_are_counted_are_of_no_other_recipe(filled, monkeypatch):
    spoiler = Spoiler(filled, Snapshot.VECTOR)
    count, gone = filled.store.count, []

    def count_and_lose_one(collection, chosen=None):
        found = count(collection, chosen)
        if collection == spoiler.generation.collection and not gone:
            gone.append(str(spoiler.chunk(1).id))
            spoiler.delete(*gone)
        return found

    monkeypatch.setattr(filled.store, "count", count_and_lose_one)
    (result,) = evaluate_checks(filled, [(Snapshot.VECTOR, DataType.POSTS)], ["has_current_recipe"])
    assert gone
    assert result.passed, result.metadata
    assert result.metadata["points"] == result.metadata["current"] > 0


def test_a_dead_capture_fails_is_caught_up(twin):
    note = results(twin)["qdrant/vector_posts", "is_caught_up"].metadata["note"]
    assert "never run" in note
    move_watermark(twin, ahead_s=-60)
    result = results(twin)["qdrant/vector_posts", "is_caught_up"]
    assert not result.passed
    assert result.metadata["lag_s"] >= 60
    move_watermark(twin, ahead_s=0)
    assert results(twin)["qdrant/vector_posts", "is_caught_up"].passed


def test_the_figures_of_the_hour_stand_in_is_caught_up_and_a_bad_hour_fails_it(twin):
    now = twin.meta.clock.now()
    told = Marker(position=twin.source.now(), sent_at=now, as_of=now)
    late = AgeHistogram()
    late.add(90_000.0, times=100)
    twin.meta.store_markers(dict.fromkeys(range(twin.settings.rabbitmq_queues), told), late)
    found = results(twin)["qdrant/vector_posts", "is_caught_up"]
    assert found.passed
    assert found.metadata["p50_s"] == pytest.approx(90, rel=0.05)
    assert (found.metadata["worst_s"], found.metadata["samples"]) == (90, 100)
    assert 0 <= found.metadata["age_s"] < 30
    queues = twin.source.client[twin.settings.meta_database]["queues"]
    before = now - timedelta(minutes=55)
    queues.insert_one({"_id": "ages before", "minute": before, "ages": {"1": 1}, "worst_ms": 1.0})
    failed = results(twin)["qdrant/vector_posts", "is_caught_up"]
    assert not failed.passed
    assert failed.metadata["note"].startswith("caught up now, but more than 5 % of the last hour")


def test_differences_behind_a_dead_stream_are_shown_as_unconfirmed(twin, documents):
    documents.posts.insert_one(post(1))
    result = results(twin, names=["matches_source"], wait_s=0)["qdrant/vector_posts", "matches_source"]
    assert not result.passed
    assert "on their way" in result.metadata["note"]


def test_dead_letters_fail_the_collections_of_their_type(filled):
    letter = DeadLetter(
        stage="cleaning", reason="empty", at=datetime.now(UTC), type=DataType.POSTS, entry="int:9"
    )
    filled.dead_letters.letters = [letter, letter.model_copy(update={"type": DataType.ARTICLES})]
    result = results(filled)["qdrant/vector_posts", "has_no_dead_letters"]
    assert not result.passed
    assert (result.metadata["dead_letters"], result.metadata["entries"]) == (1, ["int:9"])


def test_a_message_that_nobody_could_decode_fails_every_collection(filled):
    filled.dead_letters.letters = [
        DeadLetter(stage="decoding", reason="no JSON", at=datetime.now(UTC), body=b"?")
    ]
    found = evaluate_checks(filled, names=["has_no_dead_letters"])
    assert [result.passed for result in found] == [False] * 6
    assert found[0].metadata["undecodable"] == 1


def test_refused_documents_pass_and_are_shown(filled, documents, apply):
    documents.posts.insert_one(post(4) | {"content": {}})
    apply([change(4)])
    result = results(filled)["qdrant/vector_posts", "matches_source"]
    assert result.passed
    assert (result.metadata["quarantined"], result.metadata["unprocessable_ids"]) == (1, ["int:4"])


def test_without_a_live_generation_every_check_fails_and_says_what_to_do(filled):
    live = filled.live_generation(Snapshot.VECTOR, DataType.POSTS)
    filled.meta.set_status(live.collection, GenerationStatus.STANDBY)
    try:
        found = evaluate_checks(filled, [(Snapshot.VECTOR, DataType.POSTS)])
    finally:
        filled.meta.set_status(live.collection, GenerationStatus.LIVE)
    assert [result.check for result in found] == list(CHECKS)
    assert not any(result.passed for result in found)
    assert all("`twin rebuild posts`" in result.metadata["note"] for result in found)


def test_an_alias_that_shows_readers_something_else_fails(filled):
    live = filled.live_generation(Snapshot.VECTOR, DataType.POSTS)
    other = filled.live_generation(Snapshot.VECTOR, DataType.ARTICLES)
    filled.collections.switch(other.model_copy(update={"type": DataType.POSTS}))
    try:
        found = evaluate_checks(filled, [(Snapshot.VECTOR, DataType.POSTS)])
    finally:
        filled.collections.switch(live)
    assert not any(result.passed for result in found)
    assert other.collection in found[0].metadata["note"]


def test_the_gate_judges_a_generation_that_is_not_live(filled):
    live = filled.live_generation(Snapshot.VECTOR, DataType.POSTS)
    spoiler = Spoiler(filled, Snapshot.VECTOR)
    spoiler.delete(str(spoiler.chunk(1).id))
    report = audit(filled, live, with_vectors=True)
    found = check_generation(filled, live, report)
    assert [result.check for result in found] == list(GATE)
    assert [result.check for result in found if not result.passed] == ["is_complete"]
