"""How `twin` talks: tables and progress for people on a terminal, one JSON document for programs."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

if TYPE_CHECKING:
    from rich.progress import Progress

console = Console(highlight=False)
errors = Console(stderr=True, highlight=False, soft_wrap=True)
Json = Annotated[bool, typer.Option("--json", help="one JSON document on stdout")]


def say(line: str) -> None:
    """Print a line."""
    console.print(line, markup=False, soft_wrap=True)


def complain(line: str) -> None:
    """Print an error."""
    errors.print(f"twin: {line}", style="red", markup=False)


def say_json(value: Any) -> None:
    """Print one JSON document, and nothing else."""
    console.file.write(json.dumps(value, indent=2, ensure_ascii=False, default=str) + "\n")


def say_table(columns: Sequence[str], rows: Sequence[Sequence[Any]], *, title: str = "") -> None:
    """Print a table."""
    from rich.table import Table

    table = Table(*columns, title=title or None, title_justify="left", title_style="bold")
    for row in rows:
        table.add_row(*(value if isinstance(value, str) else _cell(value) for value in row))
    console.print(table)


@contextmanager
def progress_bar() -> Iterator[Progress]:
    """Give a progress display; where there is no terminal it stays silent."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.fields[note]}"),
    )
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        yield progress


def _cell(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.1f}"
    return str(value)
