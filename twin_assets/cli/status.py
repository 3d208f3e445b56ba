"""The command that shows at a glance how the twin is doing."""

from __future__ import annotations

from typing import Any

import typer

from twin_assets.cli.console import Json, say, say_json, say_table
from twin_assets.cli.exit_codes import ExitCode


def status(as_json: Json = False) -> None:
    """Show servers, long runs, collections, lag, queue and dead letters."""
    from functools import partial

    from twin_assets.cli.long_runs import read_long_runs
    from twin_assets.operations.status import read_status
    from twin_assets.settings import load_settings

    settings = load_settings()
    found = read_status(settings, partial(read_long_runs, settings))
    if as_json:
        say_json(found)
    else:
        say_status(found)
    if not all(server["up"] for server in found["servers"].values()):
        raise typer.Exit(ExitCode.SERVER_UNREACHABLE)


def say_status(found: dict[str, Any]) -> None:
    """Print a status as tables."""
    servers = [[name, server["url"], server["up"]] for name, server in found["servers"].items()]
    say_table(["server", "url", "up"], servers)
    runs = [
        [job, run["state"], run["heartbeat_age_s"], run["run_id"] and run["run_id"][:8]]
        for job, run in found["runs"].items()
    ]
    say_table(["long run", "state", "last heartbeat (s)", "run"], runs)
    columns = ["source", "cleaned", "vector_documents", "chunks"]
    rows = [
        [data_type, *(counts[column] for column in columns)]
        for data_type, counts in found["collections"].items()
    ]
    say_table(["", "in MongoDB", "cleaned", "with vectors", "chunks"], rows)
    summary = [[found["lag_s"], found["queued"], found["dead_letters"]]]
    say_table(["lag (s)", "queued", "dead letters"], summary)
    say_freshness(found["freshness"])


def say_freshness(fresh: dict[str, Any]) -> None:
    """Print how old documents were when they became searchable, and who is behind."""
    names = ("age_s", "p50_s", "p95_s", "p99_s", "worst_s")
    seconds = ["-" if fresh[name] is None else f"{fresh[name]:.2f}" for name in names]
    columns = ["age now (s)", "p50 of the hour", "p95", "p99", "worst", "samples"]
    say_table(columns, [[*seconds, fresh["samples"]]])
    if fresh["note"]:
        say(fresh["note"])
