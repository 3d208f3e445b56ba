"""Qdrant's part of a backup: snapshots of what readers see and of the standbys, and the way back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version

from twin_assets.errors import BackupDamaged, ConfigurationError
from twin_assets.models.backup import BackupBeginning
from twin_assets.models.generation import LOST, Generation, GenerationStatus
from twin_assets.operations.backup.folder import Backup, BackupFolder, reaching
from twin_assets.operations.twin import Twin
from twin_assets.store.snapshots import CollectionSnapshots

KEPT = (GenerationStatus.LIVE, GenerationStatus.STANDBY)
PART = "qdrant"
REVIVED = "restored from a backup; a rebuild takes its vectors"


@dataclass
class RestoreReport:
    """What became of a backup's collections: `restored`, or `skipped` with the reason.

    `revived` are those restored whose place another one has taken meanwhile: they are standbys now. `absent`
    are registered, but neither in Qdrant nor restored.
    """

    restored: list[str] = field(default_factory=list)
    revived: list[str] = field(default_factory=list)
    skipped: dict[str, str] = field(default_factory=dict)
    absent: list[str] = field(default_factory=list)

    @property
    def is_complete(self) -> bool:
        """Whether there is something for every name that readers use."""
        return bool(self.restored) and not self.absent


def take_snapshots(
    twin: Twin, folder: BackupFolder, *, taken: Callable[[str], None] = lambda _: None
) -> list[str]:
    """Begin a backup with a snapshot of every generation that is live or standby; return their names.

    Qdrant goes first: a database that is dumped later is newer, and to catch up is what the stream is for.
    """
    revision = twin.source.now()
    generations = _kept(twin)
    beginning = BackupBeginning(begun_at=datetime.now(UTC), revision=revision, generations=generations)
    incoming = folder.begin(beginning)
    with reaching(incoming), CollectionSnapshots(twin.settings) as snapshots:
        (incoming / PART).mkdir()
        for generation in generations:
            snapshots.take(generation.collection, incoming / _part_of(generation))
            taken(generation.collection)
    return [generation.collection for generation in generations]


def seal(twin: Twin, folder: BackupFolder, *, expected: list[str]) -> Backup:
    """Finish a backup whose parts, the snapshots among them, have all been made. Raises BackupDamaged.

    A dump whose registry names other collections than were snapshotted could not be restored as one.
    """
    generations = folder.beginning().generations
    begun = {each.collection: each.status for each in generations}
    now = {each.collection: each.status for each in _kept(twin)}
    if begun != now:
        changed = ", ".join(sorted({name for name, _ in begun.items() ^ now.items()}))
        raise BackupDamaged(
            folder.incoming, f"a rebuild or a rollback came in between ({changed}); begin the backup anew"
        )
    parts = [_part_of(each) for each in generations]
    return folder.seal(version=version("twin_assets"), expected=[*parts, *expected])


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
    chosen = _choose(twin, backup, report)
    there = set(twin.collections.names())
    occupied = sorted(there & {each.collection for each in chosen})
    if occupied and not replace:
        raise ConfigurationError(
            f"Qdrant has {', '.join(occupied)} already; `--replace` puts the backup in their place"
        )
    with reaching(backup.folder), CollectionSnapshots(twin.settings) as snapshots:
        for generation in chosen:
            snapshots.restore(generation.collection, backup.folder / _part_of(generation))
            _give_its_place(twin, generation, report)
            restored(generation.collection)
    there |= set(report.restored)
    report.absent = [each.collection for each in _kept(twin) if each.collection not in there]
    return report


def _choose(twin: Twin, backup: Backup, report: RestoreReport) -> list[Generation]:
    """Return the registry's own view of what is to be restored. Raises BackupDamaged for a missing part."""
    known = {found.collection: found for found in twin.meta.generations(include_retired=True)}
    chosen = []
    for saved in backup.manifest.generations:
        found = known.get(saved.collection)
        reason = _unfit(saved, found)
        if found is None or reason:
            report.skipped[saved.collection] = reason
            continue
        if _part_of(saved) not in backup.manifest.files:
            raise BackupDamaged(
                backup.folder / _part_of(saved), "is not part of this backup; take another one"
            )
        chosen.append(found)
    return chosen


def _give_its_place(twin: Twin, generation: Generation, report: RestoreReport) -> None:
    if generation.status is GenerationStatus.LIVE:
        twin.collections.switch(generation)
    elif generation.status is GenerationStatus.RETIRED:
        # The stream has made another one meanwhile. Fed again, this one saves the other the encoder.
        twin.meta.set_status(generation.collection, GenerationStatus.STANDBY, REVIVED)
        report.revived.append(generation.collection)
    report.restored.append(generation.collection)


def _kept(twin: Twin) -> list[Generation]:
    return [found for found in twin.meta.generations() if found.status in KEPT]


def _part_of(generation: Generation) -> str:
    return f"{PART}/{generation.collection}.snapshot"


def _unfit(saved: Generation, known: Generation | None) -> str:
    """Say why a generation of a backup has no place any more; empty where it has."""
    if known is None:
        return "the registry in MongoDB does not know it: it was dropped, or the registry is another one"
    if (known.created_at, known.recipe) != (saved.created_at, saved.recipe):
        return "the registry in MongoDB knows another collection by this name"
    if known.status not in KEPT and known.note != LOST:
        return f"it is {known.status.value} by now ({known.note})"
    return ""
