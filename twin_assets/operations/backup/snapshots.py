"""Qdrant's part of a backup: snapshots of what readers see and of the standbys, and the way back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version

from twin_assets.errors import BackupDamaged, ConfigurationError
from twin_assets.models.backup import BackupBeginning
from twin_assets.models.generation import Generation, GenerationStatus
from twin_assets.operations.backup.folder import Backup, BackupFolder
from twin_assets.operations.twin import Twin
from twin_assets.store.snapshots import CollectionSnapshots

KEPT = (GenerationStatus.LIVE, GenerationStatus.STANDBY)
PART = "qdrant"


@dataclass
class RestoreReport:
    """Collections that are `restored`, those `skipped` with the reason, registered ones that are `absent`."""

    restored: list[str] = field(default_factory=list)
    skipped: dict[str, str] = field(default_factory=dict)
    absent: list[str] = field(default_factory=list)


def take_snapshots(
    twin: Twin, folder: BackupFolder, *, taken: Callable[[str], None] = lambda _: None
) -> list[str]:
    """Begin a backup with a snapshot of every generation that is live or standby; return their names.

    Qdrant goes first: a database that is dumped later is newer, and to catch up is what the stream is for.
    """
    revision = twin.source.now()
    generations = _kept(twin)
    beginning = BackupBeginning(begun_at=datetime.now(UTC), revision=revision, generations=generations)
    target = folder.begin(beginning) / PART
    target.mkdir()
    with CollectionSnapshots(twin.settings) as snapshots:
        for generation in generations:
            snapshots.take(generation.collection, target / f"{generation.collection}.snapshot")
            taken(generation.collection)
    return [generation.collection for generation in generations]


def seal(twin: Twin, folder: BackupFolder, *, expected: list[str]) -> Backup:
    """Finish a backup whose parts have all been made. Raises BackupDamaged.

    A dump whose registry names other collections than were snapshotted could not be restored as one.
    """
    begun = {each.collection: each.status for each in folder.beginning().generations}
    now = {each.collection: each.status for each in _kept(twin)}
    if begun != now:
        changed = ", ".join(sorted({name for name, _ in begun.items() ^ now.items()}))
        raise BackupDamaged(
            folder.incoming, f"a rebuild or a rollback came in between ({changed}); begin the backup anew"
        )
    return folder.seal(version=version("twin_assets"), expected=expected)


def restore_snapshots(
    twin: Twin,
    backup: Backup,
    *,
    replace: bool = False,
    restored: Callable[[str], None] = lambda _: None,
) -> RestoreReport:
    """Put the collections of a backup back that MongoDB's registry knows, and the readers' names on them.

    What changed since is not in them: `twin repair` mends that. Raises BackupDamaged, and ConfigurationError
    where a collection is there already and `replace` is not asked for.
    """
    backup.verify()
    report = RestoreReport()
    known = {found.collection: found for found in twin.meta.generations(include_retired=True)}
    there = set(twin.collections.names())
    chosen = []
    for generation in backup.manifest.generations:
        reason = _unfit(generation, known.get(generation.collection))
        if reason:
            report.skipped[generation.collection] = reason
        else:
            chosen.append(known[generation.collection])
    occupied = sorted(there & {each.collection for each in chosen})
    if occupied and not replace:
        raise ConfigurationError(
            f"Qdrant has {', '.join(occupied)} already; `--replace` puts the backup in their place"
        )
    with CollectionSnapshots(twin.settings) as snapshots:
        for generation in chosen:
            snapshots.restore(
                generation.collection, backup.folder / PART / f"{generation.collection}.snapshot"
            )
            if generation.status is GenerationStatus.LIVE:
                twin.collections.switch(generation)
            report.restored.append(generation.collection)
            restored(generation.collection)
    there |= set(report.restored)
    report.absent = [each.collection for each in _kept(twin) if each.collection not in there]
    return report


def _kept(twin: Twin) -> list[Generation]:
    return [found for found in twin.meta.generations() if found.status in KEPT]


def _unfit(saved: Generation, known: Generation | None) -> str:
    """Say why a generation of a backup has no place any more; empty where it has."""
    if known is None:
        return "the registry in MongoDB does not know it: it was dropped, or the registry is another one"
    if (known.created_at, known.recipe) != (saved.created_at, saved.recipe):
        return "the registry in MongoDB knows another collection by this name"
    if known.status not in KEPT:
        return f"it is {known.status.value} by now ({known.note}): another one has taken its place"
    return ""
