"""`twin generations` and `twin rollback`: what is behind the readers' names, and changing it by hand."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from twin_assets.cli.console import Json, say, say_json, say_table
from twin_assets.cli.rebuild import Which, snapshots_of
from twin_assets.errors import ConfigurationError
from twin_assets.models.kinds import DataType

if TYPE_CHECKING:
    from twin_assets.operations.generations import GenerationView

app = typer.Typer(no_args_is_help=True, help="The generations behind each collection's name.")
Name = Annotated[str, typer.Argument(metavar="NAME", help="such as vector_posts__g0003")]


@app.command("list")
def list_all(as_json: Json = False) -> None:
    """List all generations: live, standby, building, retired, and what is left over in Qdrant."""
    from twin_assets.operations.generations import list_generations
    from twin_assets.operations.twin import open_twin
    from twin_assets.settings import load_settings

    with open_twin(load_settings()) as twin:
        found = list_generations(twin)
    if as_json:
        say_json([vars_of(view) for view in found])
        return
    columns = ["generation", "status", "readers see it", "recipe", "documents", "chunks", "since", "note"]
    say_table(columns, [list(vars_of(view).values())[: len(columns)] for view in found])


@app.command()
def inspect(name: Name, as_json: Json = False) -> None:
    """Compare one generation with MongoDB, down to its vectors, and show its recipe."""
    from twin_assets.operations.audit import audit
    from twin_assets.operations.generations import find_generation
    from twin_assets.operations.twin import open_twin
    from twin_assets.settings import load_settings

    with open_twin(load_settings()) as twin:
        generation = find_generation(twin, name)
        report = audit(twin, generation, with_vectors=True)
    facts: dict[str, Any] = {
        "generation": name,
        "status": generation.status.value,
        "note": generation.note,
        "recipe": generation.recipe.model_dump(mode="json"),
        "documents": report.heads,
        "chunks": report.chunks,
        "quarantined": report.quarantined,
        "is_clean": report.clean,
        "differences": {kind.value: len(entries) for kind, entries in report.differences.items()},
        "ids": {kind.value: report.first(kind) for kind in report.differences},
    }
    if as_json:
        say_json(facts)
        return
    for key, value in facts.items():
        say(f"{key}: {value}")


@app.command()
def switch(name: Name) -> None:
    """Prove a generation, down to its vectors, and show it to readers."""
    from twin_assets.operations.generations import switch as switch_to
    from twin_assets.operations.twin import open_twin
    from twin_assets.settings import load_settings

    with open_twin(load_settings()) as twin:
        chosen = switch_to(twin, name)
    say(f"{chosen.alias} is now {chosen.collection}")


@app.command()
def drop(name: Name) -> None:
    """Drop a generation that readers do not see."""
    from twin_assets.operations.generations import drop as drop_generation
    from twin_assets.operations.twin import open_twin
    from twin_assets.settings import load_settings

    with open_twin(load_settings()) as twin:
        drop_generation(twin, name)
    say(f"{name} is dropped")


def rollback(
    data_type: Annotated[DataType, typer.Argument(metavar="TYPE", help="posts, articles or repositories")],
    snapshot: Annotated[Which, typer.Option(help="which snapshot")] = Which.BOTH,
) -> None:
    """Show readers the generation from before the last rebuild, once it is proven."""
    from twin_assets.operations.generations import find_standby, roll_back
    from twin_assets.operations.twin import open_twin
    from twin_assets.settings import load_settings

    with open_twin(load_settings()) as twin:
        chosen = [each for each in snapshots_of(snapshot) if find_standby(twin, each, data_type)]
        if not chosen:
            raise ConfigurationError(
                f"{data_type.value} has no standby: there was no rebuild within TWIN_STANDBY_HOURS"
            )
        for each in chosen:
            generation = roll_back(twin, each, data_type)
            say(f"{generation.alias} is now {generation.collection}, as before the last rebuild")


def vars_of(view: GenerationView) -> dict[str, Any]:
    """Return a generation as `generations list --json` documents it."""
    generation = view.generation
    return {
        "generation": view.collection,
        "status": generation.status.value if generation else "unknown",
        "is_seen": view.is_seen,
        "recipe": generation.recipe.short if generation else None,
        "documents": view.documents,
        "chunks": view.chunks,
        "created_at": generation.created_at.isoformat(timespec="seconds") if generation else None,
        "note": view.note,
    }
