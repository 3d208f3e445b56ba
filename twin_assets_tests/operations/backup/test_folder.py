"""The folder of backups: whole or not there, and never restored when damaged."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from twin_assets.errors import BackupDamaged, BackupUnreachable, ConfigurationError
from twin_assets.models.backup import BackupBeginning
from twin_assets.operations.backup.folder import MANIFEST, Backup, BackupFolder


@pytest.fixture
def folder(tmp_path: Path) -> BackupFolder:
    return BackupFolder(tmp_path)


def begin(folder: BackupFolder, *, day: int = 1) -> Path:
    begun_at = datetime(2026, 11, day, 3, 15, tzinfo=UTC)
    return folder.begin(BackupBeginning(begun_at=begun_at, revision=7, generations=[]))


def make(folder: BackupFolder, *, day: int = 1, text: str = "dumped") -> Backup:
    incoming = begin(folder, day=day)
    (incoming / "qdrant").mkdir()
    (incoming / "qdrant/a.snapshot").write_text("points")
    (incoming / "dump").write_text(text)
    return folder.seal(version="1", expected=["dump"])


def test_a_sealed_backup_is_named_by_its_time_and_lists_every_file(
    folder: BackupFolder, tmp_path: Path
) -> None:
    backup = make(folder)
    assert backup.name == "2026-11-01T031500Z"
    assert backup.manifest.files.keys() == {"dump", "qdrant/a.snapshot"}
    assert backup.manifest.size_bytes == len("dumped") + len("points")
    assert [path.name for path in tmp_path.iterdir()] == [backup.name]
    assert folder.backups() == [backup]
    backup.verify()


def test_what_is_being_made_is_no_backup(folder: BackupFolder) -> None:
    begin(folder)
    assert folder.backups() == []
    with pytest.raises(ConfigurationError, match="there are: none"):
        folder.find("latest")


def test_a_new_beginning_throws_away_what_was_left(folder: BackupFolder) -> None:
    (begin(folder) / "dump").write_text("of the attempt before")
    begin(folder)
    with pytest.raises(BackupDamaged, match="dump: was not made"):
        folder.seal(version="1", expected=["dump"])


def test_an_empty_part_is_none(folder: BackupFolder) -> None:
    (begin(folder) / "dump").touch()
    with pytest.raises(BackupDamaged, match="dump: was not made"):
        folder.seal(version="1", expected=["dump"])
    assert folder.backups() == []


def test_sealing_without_a_beginning_says_what_comes_first(folder: BackupFolder) -> None:
    with pytest.raises(ConfigurationError, match="`twin backup snapshots"):
        folder.seal(version="1")


def test_a_folder_that_is_not_there_is_not_made(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="there is no folder"):
        begin(BackupFolder(tmp_path / "not mounted"))


@pytest.mark.parametrize("damage", ["other bytes", "dumpeD"])
def test_an_altered_file_is_named(folder: BackupFolder, damage: str) -> None:
    backup = make(folder)
    (backup.folder / "dump").write_text(damage)
    with pytest.raises(BackupDamaged, match="dump: is not what was written"):
        backup.verify()


def test_a_missing_file_is_named(folder: BackupFolder) -> None:
    backup = make(folder)
    (backup.folder / "qdrant/a.snapshot").unlink()
    with pytest.raises(BackupDamaged, match=r"a\.snapshot: is missing"):
        backup.verify()


def test_what_nobody_can_read_is_passed_over_and_said(
    folder: BackupFolder, caplog: pytest.LogCaptureFixture
) -> None:
    good, bad = make(folder, day=1), make(folder, day=2)
    (bad.folder / MANIFEST).write_text("")
    assert folder.find("latest").name == folder.find(good.name).name == good.name
    assert folder.prune(keep=1) == []
    assert bad.name in caplog.text


def test_what_somebody_renamed_stays_and_is_not_the_latest_for_its_name(folder: BackupFolder) -> None:
    kept, newest = make(folder, day=1), make(folder, day=2)
    kept.folder.rename(kept.folder.with_name("zz-before-the-upgrade"))
    assert folder.find("latest").name == newest.name
    assert folder.prune(keep=1) == []
    assert folder.find("zz-before-the-upgrade").manifest == kept.manifest


def test_what_the_disk_says_is_one_line(folder: BackupFolder, tmp_path: Path) -> None:
    folder.incoming.write_text("a file in the way")
    with pytest.raises(BackupUnreachable, match=r"incoming: Not a directory; see that the backups' folder"):
        begin(folder)


@pytest.mark.parametrize("text", ["", "{}", '{"format": 2}'])
def test_a_manifest_that_nobody_can_read_is_said(folder: BackupFolder, text: str) -> None:
    path = make(folder).folder / MANIFEST
    path.write_text(
        json.dumps(json.loads(path.read_text()) | json.loads(text)) if text == '{"format": 2}' else text
    )
    with pytest.raises(BackupDamaged, match="cannot be read as a manifest of this version"):
        folder.find(path.parent.name)


def test_the_newest_stay(folder: BackupFolder) -> None:
    names = [make(folder, day=day).name for day in (3, 1, 2)]
    assert folder.prune(keep=2) == [names[1]]
    assert [backup.name for backup in folder.backups()] == [names[0], names[2]]
    assert folder.find("latest").name == names[0]
    assert folder.find(names[2]).name == names[2]
    with pytest.raises(ConfigurationError, match=f"there are: {names[0]}, {names[2]}"):
        folder.find(names[1])


def test_a_backup_is_for_its_owner_alone(folder: BackupFolder) -> None:
    assert make(folder).folder.stat().st_mode & 0o077 == 0
