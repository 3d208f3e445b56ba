"""`twin dead-letters`: what could not be processed, why, and how to have it done again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from twin_assets.cli.console import Json, say, say_json, say_table
from twin_assets.errors import ConfigurationError

if TYPE_CHECKING:
    from twin_assets.broker.letter_reader import StoredLetter

app = typer.Typer(no_args_is_help=True, help="What could not be processed, and why.")


@app.command("list")
def list_letters(
    limit: Annotated[int, typer.Option(help="the oldest so many", min=1)] = 100, as_json: Json = False
) -> None:
    """List the dead letters, oldest first; nothing is taken out."""
    letters = _peek(limit)
    if as_json:
        say_json([_row(stored) for stored in letters])
        return
    if not letters:
        say("no dead letters")
        return
    rows = [
        [stored.number, stored.letter.key, stored.letter.stage, stored.letter.reason, str(stored.letter.at)]
        for stored in letters
    ]
    say_table(["number", "document", "while", "reason", "at"], rows)


@app.command()
def show(number: Annotated[int, typer.Argument(min=1)], as_json: Json = False) -> None:
    """Show one dead letter with its traceback."""
    found = next((stored for stored in _peek(number) if stored.number == number), None)
    if found is None:
        raise ConfigurationError(f"there is no dead letter {number}; `twin dead-letters list` shows them")
    row = _row(found)
    if as_json:
        say_json(row)
        return
    for name, value in row.items():
        say(f"{name}: {value}")


@app.command()
def replay(
    numbers: Annotated[list[int] | None, typer.Argument(help="numbers from `list`")] = None,
    everything: Annotated[bool, typer.Option("--all", help="every letter that names a document")] = False,
) -> None:
    """Have documents processed again, as they are now in MongoDB; do it once the cause is mended."""
    from twin_assets.operations.twin import open_twin
    from twin_assets.settings import load_settings

    if not numbers and not everything:
        raise ConfigurationError("say which: `twin dead-letters replay 1 2`, or --all")
    wanted = set(numbers or [])
    with open_twin(load_settings()) as twin:
        taken = twin.dead_letters.replay(
            lambda stored: everything or stored.number in wanted, twin.publisher.publish
        )
    say(f"replayed {len(taken)}")
    if not everything and len(taken) < len(wanted):
        raise ConfigurationError("some have no such number or no document; see `twin dead-letters list`")


def _peek(limit: int) -> list[StoredLetter]:
    from twin_assets.operations.twin import open_twin
    from twin_assets.settings import load_settings

    with open_twin(load_settings()) as twin:
        return twin.dead_letters.peek(limit)


def _row(stored: StoredLetter) -> dict[str, Any]:
    return {"number": stored.number, "id": stored.id, **stored.letter.model_dump(mode="json")}
