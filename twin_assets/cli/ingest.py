"""`twin ingest`: bring people's own material into MongoDB."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from twin_assets.cli.console import complain, progress_bar, say, say_table

if TYPE_CHECKING:
    from twin_assets.operations.ingest.report import IngestProgress, IngestReport

app = typer.Typer(no_args_is_help=True, help="Bring posts, articles and repositories into MongoDB.")

Paths = Annotated[list[Path], typer.Argument(help="files or folders")]
Prune = Annotated[bool, typer.Option("--prune", help="delete what this source held before and no longer has")]
Author = Annotated[str, typer.Option("--author", help="author where the material names none")]
Platform = Annotated[str | None, typer.Option(help="platform where the material names none")]


@app.command()
def posts(paths: Paths, author: Author = "me", platform: Platform = None, prune: Prune = False) -> None:
    """Take posts from JSON lines, or from the Shares.csv of a LinkedIn data export."""
    from twin_assets.operations.ingest.posts import ingest_posts

    _run(ingest_posts, paths, author_id=author, platform=platform, prune=prune)


@app.command()
def articles(paths: Paths, author: Author = "me", platform: Platform = None, prune: Prune = False) -> None:
    """Take articles from Markdown (with front matter), HTML and text: files or folders."""
    from twin_assets.operations.ingest.articles import DEFAULT_PLATFORM, ingest_articles

    _run(ingest_articles, paths, author_id=author, platform=platform or DEFAULT_PLATFORM, prune=prune)


@app.command()
def repository(
    paths: Paths,
    owner: Annotated[str, typer.Option("--owner", help="owner of the repositories")] = "me",
    prune: Prune = False,
) -> None:
    """Take a folder or git checkout as a repository: path to text, .gitignore honoured."""
    from twin_assets.operations.ingest.repository import ingest_repository

    _run(ingest_repository, paths, owner_id=owner, prune=prune)


def _run(ingest: Callable[..., IngestReport], paths: list[Path], **options: Any) -> None:
    from twin_assets.operations.twin import open_twin
    from twin_assets.settings import load_settings

    with open_twin(load_settings()) as twin, progress_bar() as bar:
        task = bar.add_task("reading", total=None, note="")

        def tell(progress: IngestProgress) -> None:
            bar.update(task, completed=progress.read, note=progress.where)

        report = ingest(paths, twin.writer, progress=tell, **options)
    say_report(report)
    if report.refused_count:
        raise typer.Exit(1)


def say_report(report: IngestReport) -> None:
    """Print what was taken, what was left out and why, and what is wrong."""
    columns = ["inserted", "updated", "unchanged", "pruned", "refused"]
    row = [report.inserted, report.updated, report.unchanged, report.pruned, report.refused_count]
    say_table([report.data_type.value, *columns], [["documents", *row]])
    for reason, tally in report.skipped.items():
        say(f"left out {tally.count}: {reason} ({', '.join(tally.samples)})")
    for note in report.notes:
        say(note)
    for line in report.refused:
        complain(line)
