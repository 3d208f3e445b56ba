"""A folder of backups on disk: each is a folder of its own, whole or not there at all."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from pydantic import ValidationError

from twin_assets.errors import BackupDamaged, ConfigurationError
from twin_assets.models.backup import BackupBeginning, BackupFile, BackupManifest

INCOMING = "incoming"
BEGINNING = "beginning.json"
MANIFEST = "manifest.json"
NAME = "%Y-%m-%dT%H%M%SZ"


@dataclass(frozen=True)
class Backup:
    """One finished backup."""

    folder: Path
    manifest: BackupManifest

    @property
    def name(self) -> str:
        """Its time in UTC, such as `2026-11-28T031500Z`."""
        return self.folder.name

    def verify(self) -> None:
        """Compare every file with the manifest. Raises BackupDamaged, which names the first that differs."""
        for path, wanted in self.manifest.files.items():
            file = self.folder / path
            if not file.is_file():
                raise BackupDamaged(file, "is missing, so this backup cannot be restored; take another one")
            if _described(file) != wanted:
                raise BackupDamaged(
                    file, "is not what was written, so do not restore it; take another backup"
                )


class BackupFolder:
    """All backups in one place, and the one that is being made, in `incoming`.

    The steps of a backup are processes of their own, so `begin` and `seal` meet in files. One at a time.
    """

    def __init__(self, root: Path) -> None:
        self._root = root

    @property
    def incoming(self) -> Path:
        """Where the parts of the backup at hand are put."""
        return self._root / INCOMING

    def begin(self, beginning: BackupBeginning) -> Path:
        """Throw away what an attempt before has left, and return an empty `incoming`."""
        if not self._root.is_dir():
            raise ConfigurationError(
                f"there is no folder {self._root}; make it, on a disk of its own if possible"
            )
        if self.incoming.exists():
            shutil.rmtree(self.incoming)
        self.incoming.mkdir(mode=0o700)
        (self.incoming / BEGINNING).write_text(beginning.model_dump_json(), encoding="utf-8")
        return self.incoming

    def beginning(self) -> BackupBeginning:
        """Return what `begin` was given. Raises ConfigurationError where no backup has begun."""
        try:
            text = (self.incoming / BEGINNING).read_text(encoding="utf-8")
        except FileNotFoundError:
            raise ConfigurationError(
                f"no backup has been begun in {self._root}; `twin backup snapshots {self._root}` begins one"
            ) from None
        return BackupBeginning.model_validate_json(text)

    def seal(self, *, version: str, expected: Iterable[str] = ()) -> Backup:
        """Write the manifest over all parts and give the backup its name; from then on it exists.

        Raises BackupDamaged where an expected part is missing or empty.
        """
        beginning = self.beginning()
        for part in expected:
            file = self.incoming / part
            if not file.is_file() or not file.stat().st_size:
                raise BackupDamaged(file, "was not made; look at the step that writes it, then begin anew")
        (self.incoming / BEGINNING).unlink()
        files = {str(PurePosixPath(path.relative_to(self.incoming))): path for path in _files(self.incoming)}
        manifest = BackupManifest(
            **dict(beginning),
            version=version,
            files={name: _described(path) for name, path in sorted(files.items())},
        )
        (self.incoming / MANIFEST).write_text(manifest.model_dump_json(indent=2), encoding="utf-8")
        for path in [*_files(self.incoming), self.incoming]:
            _flush(path)
        backup = Backup(self._root / beginning.begun_at.strftime(NAME), manifest)
        self.incoming.rename(backup.folder)
        _flush(self._root)
        return backup

    def backups(self) -> list[Backup]:
        """Return all finished backups, the newest first. Raises BackupDamaged where a manifest is not one."""
        manifests = sorted(self._root.glob(f"*/{MANIFEST}"), reverse=True)
        return [_read(path) for path in manifests if path.parent.name != INCOMING]

    def find(self, name: str) -> Backup:
        """Return one by its name, or the newest for `latest`. Raises ConfigurationError."""
        found = self.backups()
        for backup in found[:1] if name == "latest" else found:
            if name in {"latest", backup.name}:
                return backup
        there = ", ".join(backup.name for backup in found) or "none"
        raise ConfigurationError(f"{self._root} has no backup {name!r}; there are: {there}")

    def prune(self, *, keep: int) -> list[str]:
        """Delete all but the newest `keep` backups, and return the names of those deleted."""
        old = self.backups()[keep:]
        for backup in old:
            # Without its manifest it is no backup any more, whatever becomes of the rest.
            (backup.folder / MANIFEST).unlink()
            shutil.rmtree(backup.folder)
        return [backup.name for backup in old]


def _files(folder: Path) -> Iterator[Path]:
    return (path for path in sorted(folder.rglob("*")) if path.is_file())


def _described(path: Path) -> BackupFile:
    with path.open("rb") as file:
        return BackupFile(bytes=path.stat().st_size, sha256=hashlib.file_digest(file, "sha256").hexdigest())


def _read(path: Path) -> Backup:
    try:
        return Backup(path.parent, BackupManifest.model_validate_json(path.read_text(encoding="utf-8")))
    except ValidationError as error:
        reason = error.errors()[0]["msg"]
        raise BackupDamaged(path, f"cannot be read as a manifest of this version ({reason})") from error


def _flush(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
