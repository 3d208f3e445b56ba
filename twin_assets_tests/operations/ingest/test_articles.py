from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from twin_assets.operations.ingest.articles import read_articles
from twin_assets.operations.ingest.report import Gone, Guessed, Item, Refused, Skipped, Taken

PAGE = """<!doctype html><html><head><title>On queues</title>
<link rel="canonical" href="https://example.org/queues"><meta charset="{charset}">
<meta name="description" content="Why we wait."></head>
<body><nav><a href="/">Home</a> <a href="/about">About us</a></nav>
<article><h1>On queues</h1><p>A queue keeps what nobody has time for yet, and it gives it back in order.</p>
<p>That is all that most systems ask of one, and it is more than most programs offer. Gr\u00fc\u00dfe!</p>
<p>Who waits in line learns how long the others take, and that is worth a dashboard of its own.</p></article>
<footer>Imprint. Cookies. Newsletter.</footer></body></html>"""


def article(tmp_path: Path, raw: bytes | str, name: str = "a.md") -> dict[str, Any]:
    [document] = [item.document for item in items_of(tmp_path, raw, name) if isinstance(item, Taken)]
    return document


def items_of(tmp_path: Path, raw: bytes | str, name: str = "a.md") -> list[Item]:
    file = tmp_path / name
    file.write_bytes(raw.encode() if isinstance(raw, str) else raw)
    return list(read_articles(file))


def test_front_matter_fills_the_fields(tmp_path: Path) -> None:
    raw = (
        "---\r\ntitle: Slow lanes\r\nlink: https://example.org/slow\r\ndate: 2026-02-03\r\n"
        "author: author-2\r\ndescription: In short.\r\ntags: [a, b]\r\n---\r\n\r\nText.\r\n"
    )
    assert article(tmp_path, raw) == {
        "_id": str(tmp_path.resolve() / "a.md"),
        "platform": "local",
        "link": "https://example.org/slow",
        "content": {
            "title": "Slow lanes",
            "subtitle": "In short.",
            "content": "Text.",
        },
        "author_id": "author-2",
        "date": datetime(2026, 2, 3, tzinfo=UTC),
    }


def test_toml_front_matter_is_read(tmp_path: Path) -> None:
    document = article(tmp_path, '+++\ntitle = "Lanes"\nauthors = ["author-3", "author-4"]\n+++\nText')
    assert document["content"] == {"title": "Lanes", "content": "Text"}
    assert document["author_id"] == "author-3"


def test_without_front_matter_the_first_heading_or_the_name_is_the_title(tmp_path: Path) -> None:
    assert article(tmp_path, "Intro\n\n# Fast lanes #\n\nText")["content"]["title"] == "Fast lanes"
    document = article(tmp_path, "# no heading in text files", "note.txt")
    assert document["content"] == {"title": "note", "content": "# no heading in text files"}
    assert document["link"] == (tmp_path / "note.txt").resolve().as_uri()


def test_text_between_two_rules_is_no_front_matter(tmp_path: Path) -> None:
    raw = "---\nJust a line\n---\nand more"
    assert article(tmp_path, raw)["content"]["content"] == raw


@pytest.mark.parametrize(
    ("raw", "line"),
    [
        ("---\ntitle: a\nlink: b: c\n---\nText", "a.md:3: its front matter is no YAML ("),
        ("---\ntitle: [a\n---\nText", "a.md:3: its front matter is no YAML ("),
        ("---\ndate: 2026-13-45\n---\nText", "a.md: its front matter is no YAML ("),
        ("---\nx: !!python/object:os.system {}\n---\nText", "a.md:2: its front matter is no YAML ("),
        ("---\nx: " + "[" * 5000 + "\n---\nText", "a.md"),
        ("+++\ntitle = \n+++\nText", "a.md: its front matter is no TOML ("),
    ],
)
def test_broken_front_matter_is_one_line_that_keeps_the_stored_document(
    tmp_path: Path, raw: str, line: str
) -> None:
    [item] = items_of(tmp_path, raw)
    assert isinstance(item, Refused)
    assert item.id == str(tmp_path.resolve() / "a.md")
    shown = f"{item.where.rpartition('/')[2]}: {item.reason}"
    assert shown.startswith(line)
    assert "\n" not in shown


def test_html_loses_its_boilerplate(tmp_path: Path) -> None:
    document = article(tmp_path, PAGE.format(charset="utf-8"), "a.html")
    text = document["content"]["content"]
    assert "gives it back in order" in text
    assert "About us" not in text
    assert "Cookies" not in text
    assert document["content"]["title"] == "On queues"
    assert document["link"] == "https://example.org/queues"


def test_html_is_read_in_the_encoding_that_it_declares(tmp_path: Path) -> None:
    items = items_of(tmp_path, PAGE.format(charset="iso-8859-15").encode("iso-8859-15"), "a.html")
    assert not [item for item in items if isinstance(item, Guessed)]
    [document] = [item.document for item in items if isinstance(item, Taken)]
    assert "Grüße" in document["content"]["content"]


@pytest.mark.parametrize(
    ("raw", "name", "item"),
    [
        (b"", "a.md", Skipped("empty", "a.md")),
        (b" \n", "a.md", Skipped("no text", "a.md")),
        (b"---\ntitle: x\n---\n", "a.md", Skipped("no text", "a.md")),
        (b"<html><body></body></html>", "a.html", Skipped("no text", "a.html")),
        (b"<", "a.html", Skipped("no text", "a.html")),
        (b"%PDF\0\0", "a.txt", Skipped("binary", "a.txt")),
        (b"\xff\x01\x02", "a.txt", Skipped("binary", "a.txt")),
        (b"x", "a.docx", Skipped("no Markdown, HTML or text", "a.docx")),
    ],
)
def test_what_holds_no_text_is_skipped_with_its_reason(
    tmp_path: Path, raw: bytes, name: str, item: Skipped
) -> None:
    [skipped] = items_of(tmp_path, raw, name)
    assert isinstance(skipped, Skipped)
    assert (skipped.reason, skipped.where.rpartition("/")[2]) == (item.reason, item.where)


def test_folder_is_walked_and_named_by_source(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "b.md").write_text("Text b")
    (tmp_path / "a.txt").write_text("Text a")
    (tmp_path / "node_modules").mkdir()
    (tmp_path / "node_modules" / "c.md").write_text("not mine")
    ids = [
        item.document["_id"] for item in read_articles(tmp_path, source="notes") if isinstance(item, Taken)
    ]
    assert ids == ["notes/a.txt", "notes/deep/b.md"]


def test_missing_path_is_gone(tmp_path: Path) -> None:
    assert list(read_articles(tmp_path / "none")) == [Gone(str(tmp_path.resolve() / "none"))]
