from __future__ import annotations

import json
from typing import Any

import pytest
from dagster import AssetCheckEvaluation, AssetKey, DagsterRunStatus, RunRequest, build_sensor_context, job

from twin_assets.defs.auto_repair import decide, repair_differences
from twin_assets.defs.findings import metadata_of_check
from twin_assets.defs.resources import TwinResource
from twin_assets.operations.checks import CheckResult
from twin_assets.operations.differences import ON_THEIR_WAY

POSTS, ARTICLES = "qdrant/vector_posts", "qdrant/cleaned_articles"


@pytest.fixture
def evaluate(instance):
    """Log an evaluation as a check's run does: with counts and ids, passed where there are none."""

    def run(asset: str = POSTS, check: str = "matches_source", *, note: str = "", **found: list[str]) -> None:
        metadata: dict[str, Any] = {"missing": 0, "unprocessable": 3, "unprocessable_ids": ["int:9"]}
        for kind, ids in found.items():
            metadata |= {kind: len(ids), f"{kind}_ids": ids[:20]}
        metadata |= {"note": note} if note else {}
        result = CheckResult(asset, check, passed=not found and not note, metadata=metadata)
        instance.report_runless_asset_event(
            AssetCheckEvaluation(
                asset_key=AssetKey.from_user_string(asset),
                check_name=check,
                passed=result.passed,
                metadata=metadata_of_check(result),
            )
        )

    return run


class Ticks:
    """A sensor's ticks, one after the other, each with the cursor that the one before it left."""

    def __init__(self, instance: Any, limit: int = 10) -> None:
        self.instance, self.limit = instance, limit
        self.cursor: str | None = None

    def next(self) -> RunRequest | str:
        """Return the repair that is asked for, or why none is."""
        result = decide(self.instance, self.cursor, limit=self.limit)
        self.cursor = result.cursor
        if result.run_requests:
            return result.run_requests[0]
        return result.skip_reason.skip_message


@pytest.fixture
def ticks(instance) -> Ticks:
    return Ticks(instance)


def test_what_the_checks_found_is_repaired_once(ticks, evaluate):
    assert ticks.next() == "no check was evaluated since the last tick"
    evaluate()
    assert ticks.next() == "nothing differs"
    evaluate(missing=["int:1"], edited=["int:2"])
    request = ticks.next()
    assert request.run_config == {"ops": {"repair": {"config": {"limit": 10}}}}
    assert ticks.next() == "no check was evaluated since the last tick"


def test_what_a_repair_did_not_mend_is_left_to_a_person(ticks, evaluate):
    evaluate(missing=["int:1"])
    assert isinstance(ticks.next(), RunRequest)
    for _ in range(3):
        evaluate(missing=["int:1"])
        assert ticks.next() == (
            "a repair did not mend qdrant/vector_posts matches_source missing int:1: please see why; "
            "`twin repair` tries again"
        )
    evaluate()
    assert ticks.next() == "nothing differs"
    evaluate(missing=["int:1"])
    assert isinstance(ticks.next(), RunRequest)


def test_a_new_difference_is_repaired_after_one_that_was_mended(ticks, evaluate):
    evaluate(missing=["int:1"])
    assert isinstance(ticks.next(), RunRequest)
    evaluate(stale=["int:2"])
    assert isinstance(ticks.next(), RunRequest)


def test_an_evaluation_from_before_the_repair_is_not_taken_for_its_outcome(ticks, evaluate):
    evaluate(missing=["int:1"])
    assert isinstance(ticks.next(), RunRequest)
    evaluate(ARTICLES, missing=["int:1"])
    assert isinstance(ticks.next(), RunRequest)
    evaluate(ARTICLES)
    assert ticks.next() == "nothing differs"


def test_above_the_limit_a_person_is_asked(ticks, evaluate):
    evaluate(missing=[f"int:{number}" for number in range(8)])
    evaluate(ARTICLES, "is_complete", incomplete=["int:1", "int:2", "int:3"])
    said = ticks.next()
    assert said == (
        "11 differences, more than TWIN_AUTO_REPAIR_LIMIT=10: please see why, then run `twin repair`"
    )
    assert json.loads(ticks.cursor)["tried"] == []


def test_what_may_be_on_its_way_is_waited_for(ticks, evaluate):
    evaluate(missing=["int:1"], note=ON_THEIR_WAY)
    assert ticks.next() == "capture or stream is behind: what differs may be on its way"
    evaluate(missing=["int:1"])
    assert isinstance(ticks.next(), RunRequest)


def test_what_a_repair_cannot_mend_starts_none(ticks, evaluate):
    evaluate(note="Qdrant has lost vector_posts__g0001")
    evaluate(check="has_current_recipe", wrong_recipe=["int:1"])
    assert ticks.next() == "nothing differs"


def said_by_the_sensor(instance, monkeypatch, **settings: str) -> str:
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    result = repair_differences(build_sensor_context(instance), twin=TwinResource())
    return "" if result.run_requests else result.skip_reason.skip_message


def test_nothing_is_repaired_unless_it_is_allowed(instance, monkeypatch, evaluate):
    evaluate(missing=["int:1"])
    assert "TWIN_AUTO_REPAIR is false" in said_by_the_sensor(instance, monkeypatch)
    assert "TWIN_AUTO_REPAIR" in said_by_the_sensor(instance, monkeypatch, TWIN_AUTO_REPAIR="perhaps")
    assert said_by_the_sensor(instance, monkeypatch, TWIN_AUTO_REPAIR="true") == ""


@pytest.mark.parametrize("status", [DagsterRunStatus.NOT_STARTED, DagsterRunStatus.STARTED])
def test_one_repair_at_a_time(instance, monkeypatch, evaluate, status):
    evaluate(missing=["int:1"])
    instance.create_run_for_job(_empty_repair, status=status)
    assert said_by_the_sensor(instance, monkeypatch, TWIN_AUTO_REPAIR="true") == "a repair is at work"


@job(name="repair_features")
def _empty_repair() -> None:
    """Stand for the real one in a run that nobody executes."""
