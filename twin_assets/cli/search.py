"""The command that answers a question from the vector snapshots."""

from __future__ import annotations

from typing import Annotated

import typer

from twin_assets.cli.console import Json, say, say_json
from twin_assets.models.kinds import DataType

PREVIEW = 160
SEARCH_FIELDS = {"id", "type", "score", "content", "link", "author_id"}


def search(
    text: Annotated[str, typer.Argument(help="what to look for")],
    types: Annotated[list[DataType] | None, typer.Option("--type", help="only these data types")] = None,
    limit: Annotated[int, typer.Option(help="how many chunks", min=1, max=1000)] = 5,
    as_json: Json = False,
) -> None:
    """Find the chunks nearest in meaning to a text."""
    from twin_assets.operations.features import FeatureStore

    with FeatureStore() as features:
        hits = features.search(text, types=types or None, limit=limit)
    if as_json:
        say_json([hit.model_dump(mode="json", include=SEARCH_FIELDS) for hit in hits])
        return
    for hit in hits:
        say(f"{hit.score:.3f} {hit.type.value} {hit.id} {hit.link or ''}")
        say(f"      {' '.join(hit.content.split())[:PREVIEW]}")
