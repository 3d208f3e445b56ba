from __future__ import annotations

import json
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from twin_assets.operations.ingest.posts import read_posts
from twin_assets.operations.ingest.report import Gone, Guessed, Item, Refused, Skipped, Taken
from twin_assets.operations.ingest.shares import unescape_commentary

SHARES = Path(__file__).parent / "data" / "Shares.csv"
POST: dict[str, Any] = {"platform": "linkedin", "content": "Hello", "author_id": "author-1"}


def items_of(tmp_path: Path, raw: bytes | str, name: str = "posts.jsonl", **options: Any) -> list[Item]:
    file = tmp_path / name
    file.write_bytes(raw.encode() if isinstance(raw, str) else raw)
    return list(read_posts(file, **options))


def taken(items: list[Item]) -> list[dict[str, Any]]:
    return [item.document for item in items if isinstance(item, Taken)]


def refused(items: list[Item]) -> list[str]:
    return [f"{item.where.rpartition('/')[2]}: {item.reason}" for item in items if isinstance(item, Refused)]


def test_text_content_becomes_an_object_and_optional_fields_are_kept(tmp_path: Path) -> None:
    line = POST | {"link": "https://example.org/1", "image": "i.png", "date": "2026-01-02T03:04:05+01:00"}
    [document] = taken(items_of(tmp_path, json.dumps(line)))
    assert document == {
        "_id": "linkedin/https://example.org/1",
        "platform": "linkedin",
        "content": {"text": "Hello"},
        "author_id": "author-1",
        "link": "https://example.org/1",
        "image": "i.png",
        "date": datetime(2026, 1, 2, 2, 4, 5, tzinfo=UTC),
    }


@pytest.mark.parametrize(
    ("extra", "identity"),
    [
        ({"id": 7, "link": "l"}, "linkedin/7"),
        ({"_id": {"$oid": "65f0a1b2c3d4e5f6a7b8c9d0"}}, "linkedin/65f0a1b2c3d4e5f6a7b8c9d0"),
        ({"link": "l"}, "linkedin/l"),
    ],
)
def test_id_is_named_after_the_origin(tmp_path: Path, extra: dict[str, Any], identity: str) -> None:
    [document] = taken(items_of(tmp_path, json.dumps(POST | extra)))
    assert document["_id"] == identity


def test_post_without_id_or_link_is_named_after_its_author_and_text(tmp_path: Path) -> None:
    [first] = taken(items_of(tmp_path, json.dumps(POST)))
    [again] = taken(items_of(tmp_path, "\n\n" + json.dumps(POST | {"date": "2026-01-01"}), "other.jsonl"))
    [edited] = taken(items_of(tmp_path, json.dumps(POST | {"content": "Hi"})))
    assert first["_id"] == again["_id"] != edited["_id"]


def test_defaults_stand_in_where_a_line_names_no_author_or_platform(tmp_path: Path) -> None:
    [document] = taken(items_of(tmp_path, '{"content": "x"}', author_id="author-9", platform="blog"))
    assert (document["author_id"], document["platform"]) == ("author-9", "blog")


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("{", "it is not JSON (Expecting property name enclosed in double quotes at column 2)"),
        ('"text"', "it is no JSON object"),
        ("[1]", "it is a JSON array; put each object on a line of its own: jq -c '.[]' FILE"),
        ('{"content": "a", "content": "b"}', "the key 'content' is there twice"),
        ('{"content": {"n": NaN}}', "NaN is no JSON number"),
        ('{"platform": "x"}', "the field content must be there, as text or as an object"),
        ('{"platform": "x", "content": ["a"]}', "the field content must be there, as text or as an object"),
        ('{"content": "a"}', "the field platform is missing, as in linkedin"),
        (
            '{"platform": "x", "content": "a", "author_id": []}',
            "the field author_id must be text or a number",
        ),
        ('{"platform": "x", "content": "a", "id": true}', "the field id must be text or a number"),
        ("[" * 100_000, "it is a JSON array; put each object on a line of its own: jq -c '.[]' FILE"),
        ('{"content": ' + "[" * 100_000, "it is nested too deeply"),
        ('{"n": ' + "9" * 5000 + "}", "Exceeds the limit (4300 digits)"),
    ],
)
def test_wrong_line_is_named_and_its_neighbours_go_through(tmp_path: Path, line: str, reason: str) -> None:
    good = json.dumps(POST)
    items = items_of(tmp_path, f"{good}\n{line}\n{json.dumps(POST | {'content': 'More'})}\n")
    [only] = refused(items)
    assert only.startswith(f"posts.jsonl:2: {reason}")
    assert len(taken(items)) == 2


def test_file_that_is_one_json_array_is_refused_once(tmp_path: Path) -> None:
    items = items_of(tmp_path, json.dumps([POST, POST], indent=1))
    assert [type(item) for item in items] == [Refused]


@pytest.mark.parametrize(
    "encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "cp1252", "latin-1"]
)
def test_encodings_are_told_apart(tmp_path: Path, encoding: str) -> None:
    line = json.dumps(POST | {"content": "Grüße à tous"}, ensure_ascii=False) + "\n"
    mark = {"utf-16-le": b"\xff\xfe", "utf-16-be": b"\xfe\xff"}.get(encoding, b"")
    items = items_of(tmp_path, mark + (line * 2).encode(encoding))
    assert [document["content"]["text"] for document in taken(items)] == ["Grüße à tous"] * 2
    guesses = [item.where for item in items if isinstance(item, Guessed)]
    assert bool(guesses) == (encoding in {"cp1252", "latin-1"})


@pytest.mark.parametrize("raw", [b"", b"\n \n", b"\xef\xbb\xbf"])
def test_empty_file_is_skipped(tmp_path: Path, raw: bytes) -> None:
    assert [type(item) for item in items_of(tmp_path, raw)] == [Skipped]


def test_empty_content_is_skipped(tmp_path: Path) -> None:
    items = items_of(tmp_path, '{"content": " ", "platform": "x"}\n{"content": {}, "platform": "x"}')
    assert [type(item) for item in items] == [Skipped, Skipped]


def test_binary_missing_and_unreadable_files_are_one_clear_item_each(tmp_path: Path) -> None:
    assert refused(items_of(tmp_path, b"\x89PNG\0\0")) == ["posts.jsonl: it is binary, not JSON lines"]
    assert list(read_posts(tmp_path / "none")) == [Gone(str(tmp_path / "none"))]
    assert refused(list(read_posts(tmp_path))) == [
        f"{tmp_path.name}: it cannot be read ({os.strerror(21)})",
    ]


def test_line_without_end_stops_its_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("twin_assets.operations.ingest.json_lines.MAX_LINE_BYTES", 200)
    items = items_of(tmp_path, json.dumps(POST) + "\n" + "x" * 500)
    assert len(taken(items)) == 1
    assert refused(items)[0].startswith("posts.jsonl:2: the line is longer than")


def test_linkedin_export_is_read_with_its_double_escape() -> None:
    items = list(read_posts(SHARES, author_id="author-1"))
    first, second, third = taken(items)
    assert first["content"] == {"text": 'A queue is a promise.\n\nIt says: "later", and means it. 🐇'}
    assert first["_id"] == "linkedin/https://www.linkedin.com/feed/update/urn%3Ali%3Ashare%3A1001"
    assert first["date"] == datetime(2026, 3, 2, 9, tzinfo=UTC)
    assert second["image"] == "https://media.example.org/loaf.png"
    assert second["shared_url"] == "https://example.org/bread"
    assert third["content"] == {"text": 'She asked "why?" and\n"because" was my whole answer.'}
    assert "link" not in third
    assert [item for item in items if isinstance(item, Skipped)] == [
        Skipped("a share without own words", f"{SHARES}:6")
    ]


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        ('one"\r\n"two', "one\ntwo"),
        ('one"\n""\n"three', "one\n\nthree"),
        ('a ""b""', 'a "b"'),
        ('a "b"', 'a "b"'),
        ("one\r\ntwo", "one\ntwo"),
        ('one"\n"two\nthree', 'one"\n"two\nthree'),
        ("", ""),
    ],
)
def test_inner_escape_is_undone_only_where_the_text_bears_its_marks(raw: str, text: str) -> None:
    assert unescape_commentary(raw) == text


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        ("Date,Message\n1,2\n", "Shares.csv: it has no column ShareCommentary"),
        ("ShareCommentary,Date\na\n", "Shares.csv:2: it has 1 columns where the header has 2"),
        ("ShareCommentary\n" + '"' + "x" * (1 << 21), "Shares.csv:2: it is not CSV from here on"),
        (b"PK\x03\x04\0\0", "Shares.csv: it is binary, not CSV"),
    ],
)
def test_what_is_no_export_is_one_clear_line(tmp_path: Path, raw: bytes | str, reason: str) -> None:
    [only] = refused(items_of(tmp_path, raw, "Shares.csv"))
    assert only.startswith(reason)


def test_columns_are_found_in_any_case_order_and_spacing(tmp_path: Path) -> None:
    items = items_of(tmp_path, "Visibility,Share Commentary,DATE\nx,Hello,2026-01-01 00:00:00\n", "s.CSV")
    assert taken(items)[0]["content"] == {"text": "Hello"}


def test_empty_export_is_skipped(tmp_path: Path) -> None:
    assert [type(item) for item in items_of(tmp_path, "", "Shares.csv")] == [Skipped]
