"""`twin erase` as a person and a program meet it."""

from __future__ import annotations

import json
import sys

import pytest

from twin_assets.cli.app import main
from twin_assets.cli.exit_codes import ExitCode
from twin_assets.operations import erase as operation
from twin_assets.operations.erase import Erasure, State
from twin_assets.operations.traces import Place

KEYS = {"keys", "state", "text_known", "dead_letters_removed", "left", "places"}
PLACE_KEYS = {"place", "name", "looked_at", "by_key", "by_text", "kept", "note"}


@pytest.fixture
def run(monkeypatch, capsys, tmp_path):
    """Run `twin erase posts 1 …` with servers that nobody runs; return exit code, stdout and stderr."""
    monkeypatch.setenv("TWIN_STATE_DIR", str(tmp_path))
    monkeypatch.setenv("TWIN_MONGODB_URL", "mongodb://127.0.0.1:1/?replicaSet=rs0")
    monkeypatch.setenv("TWIN_RABBITMQ_URL", "amqp://127.0.0.1:1/")
    monkeypatch.setenv("TWIN_QDRANT_URL", "http://127.0.0.1:1")

    def call(*options: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["twin", "erase", "posts", "1", *options])
        with pytest.raises(SystemExit) as ended:
            main()
        said = capsys.readouterr()
        return ended.value.code or 0, said.out, said.err

    return call


@pytest.fixture
def ends_with(monkeypatch):
    """Have the operation end in this way."""

    def set_end(*places: Place, state: State = State.PRESENT) -> None:
        erasure = Erasure(["posts/int:1"], state, text_known=True, places=list(places))
        monkeypatch.setattr(operation, "erase", lambda *_, **__: erasure)

    return set_end


def test_a_server_that_is_away_is_one_line_and_its_own_code(run):
    code, _, error = run("--proof")
    assert code == ExitCode.SERVER_UNREACHABLE
    assert "Qdrant at http://127.0.0.1:1 cannot be reached" in error
    assert len(error.strip().splitlines()) == 1


def test_json_has_the_names_that_are_documented(run, ends_with):
    ends_with(Place("qdrant", "vector_posts__g0001", 3, by_key=0, by_text=0, kept=1, note="live"))
    code, out, _ = run("--proof", "--json")
    found = json.loads(out)
    assert code == ExitCode.WELL
    assert found.keys() == KEYS
    assert [place.keys() for place in found["places"]] == [PLACE_KEYS]
    assert (found["state"], found["left"]) == ("present", 0)


def test_what_is_left_is_told_and_exits_with_1(run, ends_with):
    ends_with(Place("qdrant", "notes", 3, by_key=1, by_text=1), Place("logs", "logs", None, by_text=None))
    code, out, _ = run("--proof")
    assert code == ExitCode.CHECK_FAILED
    assert "LEFT: 2" in out


def test_the_tombstone_is_named_as_kept(run, ends_with):
    ends_with(Place("qdrant", "vector_posts__g0001", 3, kept=1))
    code, out, _ = run("--proof")
    assert code == ExitCode.WELL
    assert "swept after 24 h" in out
    assert "nothing else is left" in out


def test_an_unknown_document_is_wrong_usage_after_the_proof(run, ends_with):
    ends_with(Place("qdrant", "vector_posts__g0001", 3), state=State.UNKNOWN)
    code, out, error = run("--proof", "--json")
    assert code == ExitCode.WRONG_USAGE
    assert json.loads(out)["state"] == "unknown"
    assert "posts has no document '1'" in error
