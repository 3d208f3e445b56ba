"""`twin backup`: Qdrant's part of a backup, and the seal over all parts; docs/operations.md has the rest."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from twin_assets.cli.console import Json, say, say_json, say_table
from twin_assets.cli.exit_codes import ExitCode

app = typer.Typer(no_args_is_help=True, help="Back up what Qdrant holds, and restore it.")
Root = Annotated[Path, typer.Argument(metavar="FOLDER", help="where the backups are")]
Name = Annotated[str, typer.Argument(metavar="[NAME]", help="such as 2026-11-28T031500Z")]
MB = 1_000_000


@app.command()
def snapshots(root: Root) -> None:
    """Begin a backup: a snapshot of every collection that readers see, and of every standby."""
    import signal

    from twin_assets.operations.backup.folder import BackupFolder
    from twin_assets.operations.backup.snapshots import take_snapshots
    from twin_assets.operations.twin import open_twin
    from twin_assets.settings import load_settings

    # Ended in good order, Qdrant keeps no snapshot on its own disk.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with open_twin(load_settings()) as twin:
        taken = take_snapshots(twin, BackupFolder(root), taken=lambda name: say(f"{name} is saved"))
    say(f"{len(taken)} snapshots are in {root / 'incoming'}; add other parts there, then `twin backup seal`")


@app.command()
def seal(
    root: Root,
    expect: Annotated[list[str] | None, typer.Option(help="a part without which it is no backup")] = None,
    keep: Annotated[int, typer.Option(help="how many backups to keep, this one included", min=1)] = 7,
) -> None:
    """Finish a backup: name it, note every file's checksum, and delete what is too old."""
    from twin_assets.operations.backup.folder import BackupFolder
    from twin_assets.operations.backup.snapshots import seal as seal_backup
    from twin_assets.operations.twin import open_twin
    from twin_assets.settings import load_settings

    folder = BackupFolder(root)
    with open_twin(load_settings()) as twin:
        backup = seal_backup(twin, folder, expected=expect or [])
    for name in folder.prune(keep=keep):
        say(f"{name} is deleted")
    files, size = len(backup.manifest.files), backup.manifest.size_bytes / MB
    say(f"{backup.name} is complete: {files} files, {size:.1f} MB")


@app.command("list")
def list_all(root: Root, as_json: Json = False) -> None:
    """List the backups, the newest first."""
    from twin_assets.operations.backup.folder import BackupFolder

    found = BackupFolder(root).backups()
    if as_json:
        say_json([{"name": each.name} | each.manifest.model_dump(mode="json") for each in found])
        return
    rows = [
        [each.name, each.manifest.size_bytes / MB, len(each.manifest.files), each.manifest.version]
        for each in found
    ]
    say_table(["backup", "MB", "files", "made by"], rows)


@app.command()
def verify(root: Root, name: Name = "latest") -> None:
    """Compare every file of a backup with its checksum."""
    from twin_assets.operations.backup.folder import BackupFolder

    backup = BackupFolder(root).find(name)
    backup.verify()
    say(f"{backup.name} is as it was written")


@app.command("restore-snapshots")
def restore_snapshots(
    root: Root,
    name: Name = "latest",
    replace: Annotated[bool, typer.Option("--replace", help="overwrite collections that exist")] = False,
) -> None:
    """Put Qdrant's collections back, as far as the registry in MongoDB knows them; then `twin repair`."""
    from twin_assets.operations.backup.folder import BackupFolder
    from twin_assets.operations.backup.snapshots import restore_snapshots as restore
    from twin_assets.operations.twin import open_twin
    from twin_assets.settings import load_settings

    backup = BackupFolder(root).find(name)
    with open_twin(load_settings()) as twin:
        report = restore(twin, backup, replace=replace, restored=lambda each: say(f"{each} is restored"))
    for collection, reason in report.skipped.items():
        say(f"{collection} is left out: {reason}")
    for collection in report.revived:
        say(
            f"{collection} is a standby now, since another one has taken its place: rebuild its type, which "
            f"takes its vectors, then `twin generations drop {collection}`"
        )
    for collection in report.absent:
        say(f"{collection} is in the registry, but neither in Qdrant nor in this backup: rebuild its type")
    say(f"{len(report.restored)} collections are as of {backup.name}; once the stream runs: `twin repair`")
    if not report.is_complete:
        raise typer.Exit(ExitCode.CHECK_FAILED)
