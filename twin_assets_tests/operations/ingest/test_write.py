from __future__ import annotations

import errno
import json
import os
from pathlib import Path
from typing import Any

import pytest
from pymongo.database import Database

from twin_assets.models.kinds import DataType
from twin_assets.models.raw import RAW_MODELS
from twin_assets.operations.ingest.articles import ingest_articles
from twin_assets.operations.ingest.posts import ingest_posts
from twin_assets.operations.ingest.report import IngestProgress, IngestReport
from twin_assets.operations.ingest.repository import ingest_repository
from twin_assets.source.writer import MAX_DOCUMENT_BYTES, DocumentWriter

pytestmark = pytest.mark.servers

Documents = Database[dict[str, Any]]


def figures(report: IngestReport) -> tuple[int, int, int, int]:
    return report.inserted, report.updated, report.unchanged, report.pruned


def posts_file(tmp_path: Path, *posts: dict[str, Any] | str, name: str = "posts.jsonl") -> Path:
    file = tmp_path / name
    file.write_text("\n".join(post if isinstance(post, str) else json.dumps(post) for post in posts))
    return file


def post(number: int, **fields: Any) -> dict[str, Any]:
    return {"id": number, "platform": "web", "content": f"Post {number}", "author_id": "author-1"} | fields


def ids(database: Documents, data_type: DataType) -> set[str]:
    return {document["_id"] for document in database[data_type.value].find({}, {"_id": True})}


def writes(database: Documents) -> int:
    return database["system.profile"].count_documents({"op": {"$in": ["insert", "update", "remove"]}})


def test_same_source_twice_writes_nothing(
    writer: DocumentWriter, database: Documents, tmp_path: Path
) -> None:
    file = posts_file(tmp_path, post(1, date="2026-01-01T10:00:00.123456"), post(2, content={"a": [1, None]}))
    database.command("profile", 2)  # notes what is done in this database; a server writes by itself as well
    assert figures(ingest_posts([file], writer)) == (2, 0, 0, 0)
    assert (written := writes(database)) > 0
    assert figures(ingest_posts([file], writer)) == (0, 0, 2, 0)
    assert writes(database) == written
    database.command("profile", 0)


def test_edited_post_is_replaced_as_a_whole(
    writer: DocumentWriter, database: Documents, tmp_path: Path
) -> None:
    ingest_posts([posts_file(tmp_path, post(1, image="i.png"), post(2))], writer)
    report = ingest_posts([posts_file(tmp_path, post(1, content="Edited"), post(2))], writer)
    assert figures(report) == (0, 1, 1, 0)
    stored = database.posts.find_one({"_id": "web/1"})
    assert stored is not None
    assert "image" not in stored
    assert stored["content"] == {"text": "Edited"}
    assert stored["ingested_from"] == str(tmp_path / "posts.jsonl")


def test_order_of_content_counts_as_an_edit(writer: DocumentWriter, tmp_path: Path) -> None:
    ingest_posts([posts_file(tmp_path, post(1, content={"a": "1", "b": "2"}))], writer)
    report = ingest_posts([posts_file(tmp_path, post(1, content={"b": "2", "a": "1"}))], writer)
    assert report.updated == 1


def test_prune_deletes_only_what_this_source_brought_before(
    writer: DocumentWriter, database: Documents, tmp_path: Path
) -> None:
    database.posts.insert_one({"_id": "mine", "content": {}})
    ingest_posts([posts_file(tmp_path, post(9), name="other.jsonl")], writer)
    ingest_posts([posts_file(tmp_path, post(1), post(2))], writer)
    file = posts_file(tmp_path, post(2))
    assert figures(ingest_posts([file], writer)) == (0, 0, 1, 0)
    assert figures(ingest_posts([file], writer, prune=True)) == (0, 0, 1, 1)
    assert ids(database, DataType.POSTS) == {"mine", "web/9", "web/2"}


def test_nothing_is_pruned_while_a_line_cannot_be_read(
    writer: DocumentWriter, database: Documents, tmp_path: Path
) -> None:
    ingest_posts([posts_file(tmp_path, post(1), post(2))], writer)
    report = ingest_posts([posts_file(tmp_path, post(1), '{"id": 2,')], writer, prune=True)
    assert ids(database, DataType.POSTS) == {"web/1", "web/2"}
    assert report.refused_count == 1
    assert "was pruned" in report.notes[0]


def test_vanished_file_takes_its_posts_along_only_when_pruning(
    writer: DocumentWriter, database: Documents, tmp_path: Path
) -> None:
    file = posts_file(tmp_path, post(1))
    ingest_posts([file], writer)
    file.unlink()
    report = ingest_posts([file], writer)
    assert report.refused == [f"{file}: there is no such file or folder"]
    assert database.posts.count_documents({}) == 1
    assert ingest_posts([file], writer, prune=True).pruned == 1
    assert ingest_posts([file], writer, prune=True).refused_count == 1


def test_named_source_joins_files_wherever_they_lie(
    writer: DocumentWriter, database: Documents, tmp_path: Path
) -> None:
    files = [posts_file(tmp_path, post(n), name=f"{n}.jsonl") for n in (1, 2)]
    ingest_posts(files, writer, source="feed")
    (tmp_path / "moved").mkdir()
    moved = [file.rename(tmp_path / "moved" / file.name) for file in files]
    assert figures(ingest_posts(moved, writer, source="feed", prune=True)) == (0, 0, 2, 0)
    assert figures(ingest_posts(moved[:1], writer, source="feed", prune=True)) == (0, 0, 1, 1)


def test_second_line_of_the_same_post_is_counted_not_written(writer: DocumentWriter, tmp_path: Path) -> None:
    file = posts_file(tmp_path, post(1), post(1, content="Again"))
    report = ingest_posts([file], writer)
    assert figures(report) == (1, 0, 0, 0)
    [tally] = report.skipped.values()
    assert tally.samples == [f"{file}:2"]


def test_odd_documents_meet_a_clear_fate_and_their_neighbours_go_through(
    writer: DocumentWriter, database: Documents, tmp_path: Path
) -> None:
    deep: Any = "x"
    for _ in range(60):
        deep = [deep]
    file = posts_file(
        tmp_path,
        post(1, content={"$set": "a", "b.c": "d", "": "e", "none": None}),
        post(2, content={"nul\0key": "x"}),
        post(3, content="nul \0 and lone \ud800 surrogate"),
        post(4, content={"n": 1 << 70}),
        post(5, content={"deep": deep}),
        post(6, link=7),
        post(7, content="x" * MAX_DOCUMENT_BYTES),
        post(8),
    )
    report = ingest_posts([file], writer)
    assert ids(database, DataType.POSTS) == {"web/1", "web/3", "web/8"}
    stored = database.posts.find_one({"_id": "web/3"})
    assert stored is not None
    assert stored["content"]["text"] == "nul \0 and lone \ufffd surrogate"
    lines = [line.removeprefix(f"{file}:") for line in report.refused]
    assert [line.partition(":")[0] for line in lines] == ["2", "4", "5", "6", "7"]
    assert lines[2:] == [
        "5: it is nested deeper than 50 levels",
        "6: link: Input should be a valid string",
        "7: its 16.0 MB are more than the 16 MB that MongoDB stores",
    ]
    assert figures(ingest_posts([file], writer)) == (0, 0, 3, 0)


def test_document_that_the_collection_refuses_is_named(
    writer: DocumentWriter, database: Documents, tmp_path: Path
) -> None:
    database.create_collection("posts", validator={"image": {"$exists": True}})
    file = posts_file(tmp_path, post(1, image="i"), post(2), post(3, image="i"))
    report = ingest_posts([file], writer)
    assert figures(report) == (2, 0, 0, 0)
    assert report.refused == [f"{file}:2: MongoDB refused it: Document failed validation"]


def test_progress_and_batches_cover_everything(writer: DocumentWriter, tmp_path: Path) -> None:
    file = posts_file(tmp_path, *(post(n) for n in range(450)))
    seen: list[IngestProgress] = []
    report = ingest_posts([file], writer, progress=seen.append)
    assert report.taken == 450
    assert (seen[-1].read, seen[-1].written) == (450, 450)
    assert 0 < seen[250].written < 450


def test_broken_article_keeps_its_stored_version_and_a_deleted_one_goes(
    writer: DocumentWriter, database: Documents, tmp_path: Path
) -> None:
    for name in "abc":
        (tmp_path / f"{name}.md").write_text(f"# {name}\n\nText")
    assert figures(ingest_articles([tmp_path], writer)) == (3, 0, 0, 0)
    (tmp_path / "a.md").write_text("---\nlink: b: c\n---\nText")
    (tmp_path / "b.md").unlink()
    report = ingest_articles([tmp_path], writer, prune=True)
    assert figures(report) == (0, 0, 1, 1)
    assert ids(database, DataType.ARTICLES) == {f"{tmp_path}/a.md", f"{tmp_path}/c.md"}
    assert report.refused[0].startswith(f"{tmp_path}/a.md:2: its front matter is no YAML")


def test_paths_with_dots_and_dollars_come_back_as_written(
    writer: DocumentWriter, database: Documents, tmp_path: Path
) -> None:
    names = ["$where.py", ".dotted", "a.b.c/d.$e.py", "..dots", "$a/b", "ünï.md"]
    for name in names:
        (tmp_path / "r" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "r" / name).write_text(name)
    assert figures(ingest_repository([tmp_path / "r"], writer)) == (1, 0, 0, 0)
    assert figures(ingest_repository([tmp_path / "r"], writer)) == (0, 0, 1, 0)
    stored = database.repositories.find_one({})
    assert stored is not None
    assert stored["content"] == {name: name for name in names}
    (tmp_path / "r" / "$where.py").write_text("edited")
    assert figures(ingest_repository([tmp_path / "r"], writer)) == (0, 1, 0, 0)


def test_repository_above_16_mb_is_split_and_joined_again(
    writer: DocumentWriter, database: Documents, tmp_path: Path
) -> None:
    root = tmp_path / "r"
    for folder, count in (("", 1), ("docs", 2), ("src/a", 9), ("src/b", 9)):
        (root / folder).mkdir(parents=True, exist_ok=True)
        for number in range(count):
            (root / folder / f"{number}.txt").write_text("é" * (500 * 1024))
    (root / "too-big.txt").write_text("x" * (17 * 1024 * 1024))
    report = ingest_repository([root], writer, max_file_bytes=32 * 1024 * 1024)
    assert figures(report) == (4, 0, 0, 0)
    assert ids(database, DataType.REPOSITORIES) == {
        f"{root}{part}" for part in ("", "#docs", "#src/a", "#src/b")
    }
    assert "stored as 4, by folder" in report.notes[0]
    assert report.skipped["larger than MongoDB stores in one document"].samples == ["too-big.txt"]
    for number in range(9):
        (root / "src" / "a" / f"{number}.txt").unlink()
    report = ingest_repository([root], writer)
    assert figures(report) == (0, 1, 0, 3)
    assert ids(database, DataType.REPOSITORIES) == {str(root)}


def test_unreadable_part_of_a_repository_holds_back_the_removal_of_others(
    writer: DocumentWriter, database: Documents, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = tmp_path / "r"
    (root / "src").mkdir(parents=True)
    (root / "a.txt").write_text("a")
    database.repositories.insert_one({"_id": f"{root}#src", "ingested_from": str(root)})
    scan = os.scandir

    def deny(folder: Path) -> Any:
        if folder.name == "src":
            raise PermissionError(errno.EACCES, "Permission denied")
        return scan(folder)

    monkeypatch.setattr(os, "scandir", deny)
    report = ingest_repository([root], writer)
    assert report.refused == [f"{root}/src: the folder cannot be read (Permission denied)"]
    assert ids(database, DataType.REPOSITORIES) == {str(root), f"{root}#src"}


def test_stored_documents_fit_their_models(
    writer: DocumentWriter, database: Documents, tmp_path: Path
) -> None:
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "a.md").write_text("---\ndate: 2026-01-01\n---\nText")
    ingest_posts([posts_file(tmp_path, post(1))], writer)
    ingest_articles([tmp_path / "notes"], writer)
    ingest_repository([tmp_path / "notes"], writer)
    for data_type, model in RAW_MODELS.items():
        [document] = database[data_type.value].find({})
        assert model.model_validate(document | {"entry": f"str:{document['_id']}"}).source_hash
