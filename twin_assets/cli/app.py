"""The root of the command line: registers the commands, turns a known error into one line and its code."""

from __future__ import annotations

import sys

import typer

from twin_assets.cli import (
    backup,
    check,
    dead_letters,
    demo,
    erase,
    flows,
    generations,
    ingest,
    prepare,
    rebuild,
    repair,
    search,
    stack,
    status,
)
from twin_assets.cli.console import complain
from twin_assets.errors import TwinError

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Keeps a cleaned and a vector snapshot of MongoDB's documents in Qdrant, in step in real time.",
    context_settings={"help_option_names": ["-h", "--help"]},
)

STACK, DATA, LONG_RUNS = "Local stack", "Data", "Long runs without Dagster"

app.command(rich_help_panel=STACK)(stack.up)
app.command(rich_help_panel=STACK)(stack.down)
app.command(rich_help_panel=STACK)(stack.dev)
app.command(rich_help_panel=STACK)(demo.demo)
app.add_typer(ingest.app, name="ingest", rich_help_panel=DATA)
app.command(rich_help_panel=DATA)(status.status)
app.command(rich_help_panel=DATA)(check.check)
app.command(rich_help_panel=DATA)(repair.repair)
app.command(rich_help_panel=DATA)(rebuild.rebuild)
app.command(rich_help_panel=DATA)(generations.rollback)
app.add_typer(generations.app, name="generations", rich_help_panel=DATA)
app.add_typer(backup.app, name="backup", rich_help_panel=DATA)
app.command(rich_help_panel=DATA)(search.search)
app.command(rich_help_panel=DATA)(erase.erase)
app.command("prepare-source", rich_help_panel=DATA)(prepare.prepare_source)
app.add_typer(dead_letters.app, name="dead-letters", rich_help_panel=DATA)
app.command(rich_help_panel=LONG_RUNS)(flows.capture)
app.command(rich_help_panel=LONG_RUNS)(flows.stream)


def main() -> None:
    """Run a command. A TwinError is a line on stderr and its exit code, never a traceback."""
    try:
        app()
    except TwinError as error:
        complain(str(error))
        sys.exit(error.exit_code)
