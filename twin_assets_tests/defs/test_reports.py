from __future__ import annotations

from datetime import UTC, datetime

from dagster import MaterializeResult

from twin_assets.defs.reports import ProgressLog, metadata_of
from twin_assets.models.change import revision_of
from twin_assets.models.generation import Generation, GenerationStatus, collection_name
from twin_assets.models.kinds import DataType, Snapshot
from twin_assets.models.recipe import CleanedRecipe, VectorRecipe
from twin_assets.operations.batch import Counts
from twin_assets.operations.rebuild import RebuildReport
from twin_assets.operations.scan import RebuildProgress

CLEANED = CleanedRecipe()
VECTOR = VectorRecipe(
    cleaned=CLEANED, chunk_size=500, chunk_overlap=50, max_tokens=256, model="hash-16", dimension=16
)


def a_report(snapshot: Snapshot) -> RebuildReport:
    generation = Generation(
        collection=collection_name(snapshot, DataType.POSTS, 3),
        snapshot=snapshot,
        type=DataType.POSTS,
        number=3,
        status=GenerationStatus.LIVE,
        recipe=VECTOR if snapshot is Snapshot.VECTOR else CLEANED,
        created_at=datetime.now(UTC),
        since=revision_of(1_700_000_000, 7),
    )
    return RebuildReport(
        generation=generation,
        documents=40,
        chunks=100,
        quarantined=1,
        counts=Counts(documents=41, chunks_embedded=30, chunks_reused=70, from_cleaned=39),
        seconds=12.345,
        is_resumed=False,
        sample_ids=[f"str:p{number}" for number in range(9)],
    )


def values(report: RebuildReport) -> dict[str, object]:
    metadata = MaterializeResult(metadata=metadata_of(report)).metadata or {}
    return {name: getattr(value, "value", value) for name, value in metadata.items()}


def test_a_vector_rebuild_says_what_it_embedded_and_what_it_reused():
    shown = values(a_report(Snapshot.VECTOR))
    assert (shown["documents"], shown["chunks"], shown["embedded"], shown["reused"]) == (40, 100, 30, 70)
    assert shown["generation"] == "vector_posts__g0003"
    assert shown["since"] == 1_700_000_000.0
    assert shown["seconds"] == 12.3


def test_five_ids_are_a_sample():
    assert values(a_report(Snapshot.VECTOR))["sample_ids"] == [f"str:p{number}" for number in range(5)]


def test_a_cleaned_rebuild_says_nothing_of_chunks():
    assert "chunks" not in values(a_report(Snapshot.CLEANED))


def test_the_recipe_is_a_table_of_everything_that_decides_a_point():
    recipe = metadata_of(a_report(Snapshot.VECTOR))["recipe"]
    rows = {row.data["ingredient"]: row.data["value"] for row in recipe.records}
    assert rows["model"] == "hash-16"
    assert rows["cleaned"] == CLEANED.short
    assert set(rows) == set(VectorRecipe.model_fields) - {"snapshot"}


def test_progress_is_logged_every_few_seconds_only():
    lines: list[str] = []
    now = [0.0]
    log = ProgressLog(lines.append, interval_s=5, clock=lambda: now[0])
    for second in range(11):
        now[0] = float(second)
        embedded, reused = second * 30, 4 * (second // 10)
        log(RebuildProgress(second, 40, embedded, reused, seconds=second))
    assert lines == [
        "0 of 40 documents",
        "5 of 40 documents, 30 chunks/s, 35 s to go",
        "10 of 40 documents, 30 chunks/s, 4 vectors reused, 30 s to go",
    ]
