"""A folder of backups on disk: each is a folder of its own, whole or not there at all."""

from __future__ import annotations

import hashlib
import logging
import os
import re
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from pydantic import ValidationError

from twin_assets.errors import BackupDamaged, BackupUnreachable, ConfigurationError
from twin_assets.models.backup import BackupBeginning, BackupFile, BackupManifest

INCOMING = "incoming"
BEGINNING = "beginning.json"
MANIFEST = "manifest.json"
NAME = "%Y-%m-%dT%H%M%SZ"
# What somebody has renamed, they want to keep.
OURS = re.compile(r"\d{4}-\d\d-\d\dT\d{6}Z")

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Backup:
    """One finished backup."""

    folder: Path
    manifest: BackupManifest

    @property
    def name(self) -> str:
        """Its time in UTC, such as `2026-11-28T031500Z`, unless somebody has renamed it."""
        return self.folder.name

    def verify(self) -> None:
        """Compare every file with the manifest. Raises BackupDamaged, which names the first that differs."""
        with reaching(self.folder):
            for path, wanted in self.manifest.files.items():
                file = self.folder / path
                if not file.is_file():
                    raise BackupDamaged(
                        file, "is missing, so this backup cannot be restored; take another one"
                    )
                if _described(file) != wanted:
                    raise BackupDamaged(
                        file, "is not what was written, so do not restore it; take another backup"
                    )


class BackupFolder:
    """All backups in one place, and the one that is being made, in `incoming`.

    The steps of a backup are processes of their own, so `begin` and `seal` meet in files. One at a time.
    Every method raises BackupUnreachable where the disk refuses.
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
        with reaching(self._root):
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
        with reaching(self._root):
            for part in expected:
                file = self.incoming / part
                if not file.is_file() or not file.stat().st_size:
                    raise BackupDamaged(
                        file, "was not made; look at the step that writes it, then begin anew"
                    )
            (self.incoming / BEGINNING).unlink()
            manifest = BackupManifest(
                **dict(beginning), version=version, files=dict(_all_described(self.incoming))
            )
            (self.incoming / MANIFEST).write_text(manifest.model_dump_json(indent=2), encoding="utf-8")
            for path in [*_files(self.incoming), self.incoming]:
                _flush(path)
            backup = Backup(self._root / beginning.begun_at.strftime(NAME), manifest)
            self.incoming.rename(backup.folder)
            _flush(self._root)
        return backup

    def backups(self) -> list[Backup]:
        """Return all finished backups, the newest first; what nobody can read is passed over, and said."""
        found = []
        for folder in self._folders():
            try:
                found.append(_read(folder))
            except BackupDamaged as error:
                log.warning("passed over: %s", error)
        return sorted(found, key=lambda backup: backup.manifest.begun_at, reverse=True)

    def find(self, name: str) -> Backup:
        """Return one by its name, or the newest for `latest`.

        Raises ConfigurationError where there is none, BackupDamaged where that one cannot be read.
        """
        if name == "latest":
            newest = self.backups()[:1]
            if newest:
                return newest[0]
        names = {folder.name: folder for folder in self._folders()}
        if name in names:
            return _read(names[name])
        there = ", ".join(sorted(names, reverse=True)) or "none"
        raise ConfigurationError(f"{self._root} has no backup {name!r}; there are: {there}")

    def prune(self, *, keep: int) -> list[str]:
        """Delete all but the newest `keep` backups, and return the names of those deleted.

        What somebody has renamed stays, and does not count.
        """
        ours = [backup for backup in self.backups() if OURS.fullmatch(backup.name)]
        with reaching(self._root):
            for backup in ours[keep:]:
                shutil.rmtree(backup.folder)
        return [backup.name for backup in ours[keep:]]

    def _folders(self) -> list[Path]:
        """Return the folders with a manifest. One that may not be looked into is an error, not nothing."""
        with reaching(self._root):
            folders = [path for path in self._root.iterdir() if path.is_dir() and path.name != INCOMING]
            return [path for path in folders if any(file.name == MANIFEST for file in path.iterdir())]


@contextmanager
def reaching(root: Path) -> Iterator[None]:
    """Turn what the disk says into BackupUnreachable."""
    try:
        yield
    except OSError as error:
        raise BackupUnreachable(error, root) from error


def _files(folder: Path) -> Iterator[Path]:
    return (path for path in sorted(folder.rglob("*")) if path.is_file())


def _all_described(folder: Path) -> Iterator[tuple[str, BackupFile]]:
    for path in _files(folder):
        yield str(PurePosixPath(path.relative_to(folder))), _described(path)


def _described(path: Path) -> BackupFile:
    with path.open("rb") as file:
        return BackupFile(bytes=path.stat().st_size, sha256=hashlib.file_digest(file, "sha256").hexdigest())


def _read(folder: Path) -> Backup:
    path = folder / MANIFEST
    with reaching(folder):
        text = path.read_text(encoding="utf-8", errors="replace")
    try:
        return Backup(folder, BackupManifest.model_validate_json(text))
    except ValidationError as error:
        reason = error.errors()[0]["msg"]
        raise BackupDamaged(path, f"cannot be read as a manifest of this version ({reason})") from error


def _flush(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
