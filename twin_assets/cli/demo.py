"""`twin demo`: the main job from end to end on real input, in front of your eyes."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated, Any

import typer

from twin_assets.cli.console import console, progress_bar, say, say_table
from twin_assets.cli.exit_codes import ExitCode
from twin_assets.errors import TwinError
from twin_assets.models.kinds import DataType, Snapshot

if TYPE_CHECKING:
    from rich.progress import TaskID

    from twin_assets.operations.twin import Twin
    from twin_assets.settings import Settings

STALLED_S = 180.0
JOB_LIMIT_S = 300.0
QUESTIONS = {
    DataType.POSTS: "how do I keep an index fresh",
    DataType.ARTICLES: "validate data with type hints",
    DataType.REPOSITORIES: "a dataflow step that embeds chunks",
}


def demo(
    leave: Annotated[
        bool, typer.Option("--exit", help="end after the tour; 0 only if all checks pass")
    ] = False,
) -> None:
    """Start everything, sync real documents, change some, check, search; stays up until Ctrl-C."""
    from twin_assets.settings import load_settings
    from twin_assets.stack.stack import LocalStack

    stack = LocalStack(load_settings(), report=say)
    stack.dev()
    try:
        passed = _tour(load_settings())
    except BaseException:
        stack.down()
        raise
    if leave:
        stack.down()
        raise typer.Exit(ExitCode.WELL if passed else ExitCode.CHECK_FAILED)
    say("\nEverything stays up and in step; Ctrl-C stops it.")
    stack.hold()


def _tour(settings: Settings) -> bool:
    from twin_assets.operations.twin import open_twin

    with open_twin(settings) as twin:
        _ingest(twin)
        _await_sync(twin)
        _show_changes(twin)
        _search()
        passed = _check(settings, twin)
    _summary(settings)
    return passed


def _ingest(twin: Twin) -> None:
    from twin_assets.operations.ingest.demo import ingest_demo

    console.rule("Ingest: people's material into MongoDB", align="left")
    with progress_bar() as bar:
        task = bar.add_task("reading", total=None, note="")
        reports = ingest_demo(
            twin.writer, progress=lambda progress: bar.update(task, completed=progress.read)
        )
    columns = ["", "inserted", "updated", "unchanged"]
    say_table(
        columns, [[each.data_type.value, each.inserted, each.updated, each.unchanged] for each in reports]
    )


def _await_sync(twin: Twin) -> None:
    """Wait until the watermark has passed everything that was ingested."""
    console.rule("Sync: MongoDB, RabbitMQ, Bytewax, Qdrant", align="left")
    target, began = twin.source.now(), time.monotonic()
    with progress_bar() as bar:
        task = bar.add_task("documents with vectors", total=None, note="waiting for the stream")
        seen, moved = -1, time.monotonic()
        while not _is_past(twin, target):
            if (done := _show_progress(twin, bar, task)) != seen:
                seen, moved = done, time.monotonic()
            if time.monotonic() - moved > STALLED_S:
                raise TwinError(f"nothing has arrived for {STALLED_S:.0f} s; the UI's run page says why")
            time.sleep(1)
    say(f"in step after {time.monotonic() - began:.1f} s")


def _is_past(twin: Twin, target: int) -> bool:
    watermark = twin.meta.watermark(twin.settings.rabbitmq_queues)
    return watermark is not None and watermark >= target


def _show_progress(twin: Twin, bar: Any, task: TaskID) -> int:
    live = [twin.live_generation(Snapshot.VECTOR, data_type) for data_type in DataType]
    held = [generation for generation in live if generation is not None]
    done = sum(twin.store.count_documents(generation.collection) for generation in held)
    chunks = sum(twin.store.count_chunks(generation.collection) for generation in held)
    total = sum(twin.source.count(data_type) for data_type in DataType)
    if held:
        bar.update(task, total=total, completed=done, note=f"{chunks} chunks")
    return chunks + done


def _show_changes(twin: Twin) -> None:
    from twin_assets.cli.demo_changes import live_changes

    console.rule("Live: three changes, from commit to searchable", align="left")
    rows = [
        [
            each.what,
            each.entry,
            f"{each.chunks_before} → {each.chunks_after}",
            f"{each.seconds * 1000:.0f} ms",
        ]
        for each in live_changes(twin)
    ]
    say_table(["change", "article", "chunks", "searchable after"], rows)


def _search() -> None:
    from twin_assets.cli.search import search

    console.rule("Search: one question to each data type", align="left")
    for data_type, question in QUESTIONS.items():
        say(f"\n{data_type.value}: {question}?")
        search(question, types=[data_type], limit=2)


def _check(settings: Settings, twin: Twin) -> bool:
    """Evaluate the checks as a Dagster job, so that the UI shows them, and list them here."""
    from twin_assets.cli.check import evaluate, say_checks
    from twin_assets.cli.long_runs import dagster_api, run_job

    console.rule("Check: Qdrant against MongoDB, document by document", align="left")
    with console.status("the job verify_features runs in Dagster"):
        state = run_job(dagster_api(settings), "verify_features", limit_s=JOB_LIMIT_S)
    say(f"verify_features in Dagster: {state.lower()}")
    results = evaluate(twin)
    say_checks(results)
    return state == "SUCCESS" and all(result.passed for result in results)


def _summary(settings: Settings) -> None:
    from functools import partial

    from twin_assets.cli.long_runs import dagster_url, read_long_runs
    from twin_assets.cli.status import say_status
    from twin_assets.operations.status import read_status

    console.rule("Where everything stands", align="left")
    found = read_status(settings, partial(read_long_runs, settings))
    say_status(found)
    say(f"Dagster UI      {dagster_url(settings)}")
    say(f"asset graph     {dagster_url(settings)}/asset-groups")
    say(f"Qdrant          {found['servers']['qdrant']['url']}/dashboard")
