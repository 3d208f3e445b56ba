"""`twin prepare-source`: what the administrator of a MongoDB or DocumentDB does once."""

from __future__ import annotations

from typing import Annotated

import typer

from twin_assets.cli.console import say


def prepare_source(
    may_write: Annotated[
        bool, typer.Option("--may-write", help="let the user write documents too, as `twin ingest` does")
    ] = False,
) -> None:
    """Make the user of TWIN_MONGODB_URL, as the one of TWIN_MONGODB_ADMIN_URL; may be run again.

    The user gets the few rights that it needs. Of DocumentDB (TWIN_MONGODB_DIALECT=documentdb) change streams
    are switched on too.
    """
    from twin_assets.operations import preparation
    from twin_assets.settings import load_settings

    say(preparation.prepare_source(load_settings(), may_write=may_write))
