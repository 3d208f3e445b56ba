"""The dead letters as an operator uses them: read as often as one likes, replayed after the cure."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from twin_assets.models.kinds import DataType
from twin_assets_tests.scenarios.chaos.poison import TEXT, UNENCODABLE, letters
from twin_assets_tests.scenarios.documents import post
from twin_assets_tests.scenarios.processes import environment_of

pytestmark = [pytest.mark.servers, pytest.mark.slow, pytest.mark.chaos]

POST = DataType.POSTS
MANY, READINGS = 40, 50
COMMAND_S = 120


def test_reading_the_letters_any_number_of_times_loses_none_and_keeps_their_order(
    twin, settings, documents, capturing, streaming, tally
):
    with capturing(), streaming():
        documents.posts.insert_many([{"_id": number, "content": {"text": TEXT}} for number in range(MANY)])
        tally.fault(MANY)
        tally.recover()
        before = peek(twin)
        assert [found.number for found in before] == list(range(1, MANY + 1))
        for _ in range(READINGS):
            assert peek(twin) == before
        assert peek(twin, limit=5) == before[:5]
        listed = json.loads(command(settings, "list", "--limit", "1000", "--json"))
        assert [(row["number"], row["id"]) for row in listed] == [(one.number, one.id) for one in before]
        assert TEXT not in json.dumps(listed)
        assert twin.dead_letters.count() == MANY
        tally.settle()
    assert peek(twin) == before


def test_letters_are_replayed_with_success_once_the_cause_is_mended(
    twin, settings, documents, capturing, streaming, tally, chunk_texts, fussy_encoder
):
    documents.posts.insert_many([post(number, f"{UNENCODABLE} {number}") for number in range(6)])
    documents.posts.insert_one({"_id": "stays", "content": {"text": TEXT}})
    with capturing(), streaming():
        tally.fault(7)
        tally.recover()
        assert len(letters(twin)) == 7
        command(settings, "replay", "--all")
        tally.recover()
        assert len(letters(twin)) == 7, "whoever is refused again has a letter again, and no second one"
        fussy_encoder()
        command(settings, "replay", "--all")
        tally.recover()
        assert [letter.entry for letter in letters(twin)] == ["str:stays"]
        assert chunk_texts(POST, "int:5") == [f"{UNENCODABLE} 5"]
        tally.settle()


def peek(twin, *, limit: int = 1000) -> list:
    return twin.dead_letters.peek(limit)


def command(settings, *arguments: str) -> str:
    """Run `twin dead-letters …` as an operator does."""
    ended = subprocess.run(
        [sys.executable, "-m", "twin_assets", "dead-letters", *arguments],
        env=environment_of(settings),
        capture_output=True,
        text=True,
        timeout=COMMAND_S,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    return ended.stdout
