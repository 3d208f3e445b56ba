from __future__ import annotations

import json
import unicodedata
from importlib.metadata import Distribution
from pathlib import Path
from typing import Any

import pytest
from pymongo.database import Database

from twin_assets.errors import ConfigurationError
from twin_assets.models.kinds import DataType
from twin_assets.operations.ingest import demo, package_texts
from twin_assets.operations.ingest.package_texts import PackageText
from twin_assets.operations.ingest.posts import read_posts
from twin_assets.operations.ingest.report import Taken
from twin_assets.source.writer import DocumentWriter

ROOT = demo.project_root()


def sample_texts() -> list[str]:
    return [
        json.loads(line)["content"]["text"] for line in (ROOT / demo.SAMPLES).read_text("utf-8").splitlines()
    ]


def test_every_sample_is_a_good_post_of_a_plain_author() -> None:
    items = list(read_posts(ROOT / demo.SAMPLES))
    documents = [item.document for item in items if isinstance(item, Taken)]
    assert len(documents) == len(items) >= 40
    assert len({document["_id"] for document in documents}) == len(documents)
    assert all(document["author_id"].startswith("author-") for document in documents)


SCRIPTS = ("CJK", "HIRAGANA", "ARABIC", "DEVANAGARI", "LATIN SMALL LETTER L WITH STROKE")
ODDITIES = (
    "MATHEMATICAL SANS-SERIF BOLD",
    "MATHEMATICAL BOLD SCRIPT",
    "ZERO WIDTH JOINER",
    "LEFT DOUBLE QUOT",
)


@pytest.mark.parametrize("name", SCRIPTS + ODDITIES)
def test_samples_hold_the_scripts_and_oddities_that_cleaning_must_bear(name: str) -> None:
    assert any(unicodedata.name(letter, "").startswith(name) for text in sample_texts() for letter in text)


def test_smallest_texts_are_chosen_first_and_never_fewer_than_the_least() -> None:
    texts = [PackageText(f"p{size}", "", "x" * size, "link") for size in range(4000, 0, -10)]
    few = list(demo.chosen(texts, 0))
    assert len(few) == demo.MIN_ARTICLES
    assert [item.where for item in few[:2]] == ["p10", "p20"]
    more = list(demo.chosen(texts, 1000))
    assert len(few) < len(more) < len(texts)
    assert demo.prose_chunks(more) <= 1000


def fake_distributions(tmp_path: Path, *metadata: str) -> list[Distribution]:
    folders = [tmp_path / f"{number}.dist-info" for number in range(len(metadata))]
    for folder, text in zip(folders, metadata, strict=True):
        folder.mkdir()
        (folder / "METADATA").write_text(text, encoding="utf-8")
    return [Distribution.at(folder) for folder in folders]


def test_description_is_found_in_body_or_header_and_the_link_by_its_label(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = "Words about it. " * 60
    found = fake_distributions(
        tmp_path,
        f"Metadata-Version: 2.1\nName: A_b\nSummary: Short\nProject-URL: Source, https://a.example\n\n{text}",
        f"Metadata-Version: 1.2\nName: old\nHome-page: https://old.example\nDescription: {text}\n",
        f"Metadata-Version: 2.1\nName: homeless\nProject-URL: Donate, https://x.example\n\n{text}",
        f"Metadata-Version: 2.1\nName: a-b\n\n{text}",
        f"Metadata-Version: 2.1\nName: twin_assets\n\n{text}",
        "Metadata-Version: 2.1\nName: silent\n\n",
    )
    monkeypatch.setattr(package_texts, "distributions", lambda: found)
    links = {about.name: about.link for about in package_texts.package_texts()}
    assert links == {
        "a-b": "https://a.example",
        "old": "https://old.example",
        "homeless": "pkg:pypi/homeless",
    }
    first = next(package_texts.package_texts()).article("demo").document
    assert first["content"] == {"title": "a-b", "subtitle": "Short", "content": text.strip()}


def test_missing_samples_are_one_clear_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(demo, "__file__", str(tmp_path / "a" / "b" / "c" / "demo.py"))
    with pytest.raises(ConfigurationError, match="run it from a checkout"):
        demo.project_root()


@pytest.mark.servers
def test_demo_fills_all_types_and_repairs_itself_without_other_writes(
    writer: DocumentWriter, database: Database[dict[str, Any]]
) -> None:
    report = demo.ingest_demo(writer)
    assert report.posts.inserted >= 40
    assert report.articles.inserted >= demo.MIN_ARTICLES
    assert report.repositories.inserted == 3
    assert [line for each in report for line in each.refused] == []
    own = database.repositories.find_one({"_id": "demo/twin_assets"})
    assert own is not None
    assert "twin_assets/errors.py" in own["content"]
    assert not [path for path in own["content"] if path.startswith(("samples/", "twin_assets_tests/"))]

    database.posts.delete_one({"_id": "linkedin/sample-01"})
    database.articles.insert_one({"_id": "demo/old", "ingested_from": demo.SOURCE})
    again = demo.ingest_demo(writer)
    assert (again.posts.inserted, again.posts.unchanged) == (1, report.posts.inserted - 1)
    assert (again.articles.inserted, again.articles.pruned) == (0, 1)
    assert database[DataType.REPOSITORIES].count_documents({}) == 3
