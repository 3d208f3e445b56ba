"""Text of a document in files under the state folder: Dagster's storage, and the logs."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from twin_assets.operations.fragments import Fragments
from twin_assets.operations.traces import Place

NAMED_AT_MOST = 5
UNKNOWN_TEXT = "not looked at: the text is not known any more, or too short"
ELSEWHERE = "not looked at: {folder} does not exist, {what} elsewhere"
SERVERS_FILES = Place(
    "files",
    "the servers' own files",
    None,
    by_key=None,
    by_text=None,
    note="not looked at: oplog, write-ahead logs and backups age out, see docs/operating.md",
)


def look_in_files(state: Path, fragments: Fragments) -> list[Place]:
    """Look for the text in every file of ours; keys may stand there, so nothing is looked for by key."""
    dagster = state / "dagster"
    logs = [*_files_in(state / "logs"), *(path for path in state.glob("*.log*") if path.is_file())]
    events = _files_in(dagster)
    return [
        _look("dagster", dagster, events, fragments, "Dagster keeps its events and logs"),
        _look("logs", state / "logs", logs, fragments, "the servers log"),
        SERVERS_FILES,
    ]


def _files_in(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file() and not path.is_symlink())


def _look(place: str, folder: Path, files: list[Path], fragments: Fragments, what: str) -> Place:
    found = Place(place, str(folder), None, by_key=None, by_text=None)
    if not files:
        found.note = ELSEWHERE.format(folder=folder, what=what)
    elif not fragments:
        found.note = UNKNOWN_TEXT
    else:
        holding = [path for path in files if _holds(path, fragments)]
        found.looked_at, found.by_text = len(files), len(holding)
        found.note = _names(path.relative_to(folder.parent) for path in holding[:NAMED_AT_MOST])
    return found


def _holds(path: Path, fragments: Fragments) -> bool:
    try:
        return fragments.are_in_file(path)
    except FileNotFoundError:
        return False  # rotated away since it was listed


def _names(paths: Iterable[Path]) -> str:
    return ", ".join(map(str, paths))
