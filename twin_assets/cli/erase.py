"""`twin erase`: delete a document everywhere, and prove that nothing of it is left."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from twin_assets.cli.console import Json, progress_bar, say, say_json, say_table
from twin_assets.cli.exit_codes import ExitCode
from twin_assets.models.kinds import DataType

if TYPE_CHECKING:
    from twin_assets.operations.erase import Erasure
    from twin_assets.settings import Settings

COLUMNS = ["where", "name", "looked at", "by key", "by text", "kept", "note"]


def erase(
    data_type: Annotated[DataType, typer.Argument(metavar="TYPE", help="posts, articles or repositories")],
    document_id: Annotated[
        str,
        typer.Argument(metavar="ID", help="its _id; with oid:, str:, int: or uuid: before it if in doubt"),
    ],
    proof: Annotated[bool, typer.Option("--proof", help="look everywhere for what is left")] = False,
    wait_s: Annotated[float, typer.Option(help="how long to wait for the stream", min=0)] = 60.0,
    as_json: Json = False,
) -> None:
    """Delete a document from MongoDB, Qdrant and the dead letters; exit code 1 when something is left."""
    from twin_assets.errors import UnknownDocument
    from twin_assets.operations.erase import State, erase
    from twin_assets.operations.twin import open_twin
    from twin_assets.settings import load_settings

    settings = load_settings()
    with open_twin(settings) as twin, progress_bar() as bar:
        bar.add_task("erasing", total=None, note="")
        erasure = erase(twin, data_type, document_id, proof=proof, wait_s=wait_s)
    if as_json:
        say_json(_json_of(erasure))
    else:
        _say(erasure, settings, proof=proof)
    if erasure.left:
        raise typer.Exit(ExitCode.CHECK_FAILED)
    if erasure.state is State.UNKNOWN:
        raise UnknownDocument(data_type.value, document_id)


def _json_of(erasure: Erasure) -> dict[str, Any]:
    return {
        "keys": erasure.keys,
        "state": erasure.state.value,
        "text_known": erasure.text_known,
        "dead_letters_removed": erasure.dead_letters_removed,
        "left": erasure.left,
        "places": [asdict(place) for place in erasure.places],
    }


def _say(erasure: Erasure, settings: Settings, *, proof: bool) -> None:
    say(
        f"{' or '.join(erasure.keys)}: was {erasure.state.value} in MongoDB, is deleted now, and every "
        f"collection knows; dead letters removed: {erasure.dead_letters_removed}"
    )
    if not proof:
        return
    rows = [list(asdict(place).values()) for place in erasure.places]
    say_table(COLUMNS, rows)
    if not erasure.text_known:
        say("its text is not known (any more), or too short: it was looked for by its key alone")
    if any(place.kept for place in erasure.places):
        say(f"kept on purpose: tombstones, keys without content, swept after {settings.tombstone_hours:g} h")
    say("nothing else is left" if not erasure.left else f"LEFT: {erasure.left}; see the rows above")
