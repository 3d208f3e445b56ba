"""Text in the files of the state folder is found, and what was not looked at is said."""

from __future__ import annotations

from pathlib import Path

from twin_assets.operations.fragments import Fragments
from twin_assets.operations.trace_files import look_in_files
from twin_assets.operations.traces import Place

TEXT = "nobody else remembers how the heliotrope froze"


def places(state: Path, *texts: str) -> dict[str, Place]:
    return {place.place: place for place in look_in_files(state, Fragments(texts))}


def write(file: Path, text: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)


def test_text_in_an_event_or_a_log_is_found_and_its_file_named(tmp_path: Path):
    write(tmp_path / "dagster/storage/run.db", f"\0 an event that quotes: {TEXT} \0")
    write(tmp_path / "dagster/compute_logs/step.err", "nothing")
    write(tmp_path / "logs/mongodb.log", f"slow operation: {TEXT}")
    write(tmp_path / "capture.log", "nothing")
    found = places(tmp_path, TEXT)
    assert (found["dagster"].looked_at, found["dagster"].by_text) == (2, 1)
    assert found["dagster"].note == "dagster/storage/run.db"
    assert (found["logs"].looked_at, found["logs"].by_text) == (2, 1)
    assert found["logs"].note == "logs/mongodb.log"
    assert found["files"].looked_at is None


def test_clean_files_are_counted(tmp_path: Path):
    write(tmp_path / "dagster/storage/run.db", "posts/int:1 was processed")
    write(tmp_path / "logs/stream.log.1", "posts/int:1 was processed")
    found = places(tmp_path, TEXT)
    assert [(found[name].looked_at, found[name].left) for name in ("dagster", "logs")] == [(1, 0), (1, 0)]


def test_what_was_not_looked_at_is_said(tmp_path: Path):
    write(tmp_path / "logs/stream.log", "posts/int:1 was processed")
    found = places(tmp_path)
    assert (found["dagster"].looked_at, found["logs"].looked_at) == (None, None)
    assert "does not exist" in found["dagster"].note
    assert "not known" in found["logs"].note
