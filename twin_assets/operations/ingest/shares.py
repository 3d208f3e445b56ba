"""Shares.csv of a LinkedIn data export: Date, ShareLink, ShareCommentary, SharedUrl, MediaUrl, Visibility.

Its commentary is escaped twice: every line break of a post stands as `"`, line break, `"`, and every quote of
it is doubled, inside a field that the CSV format escapes once more. Dates are UTC without saying so.
"""

from __future__ import annotations

import csv
import hashlib
import io
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from twin_assets.operations.ingest.dates import as_time
from twin_assets.operations.ingest.decoding import decode, document_id
from twin_assets.operations.ingest.report import Guessed, Item, Refused, Skipped, Taken

PLATFORM = "linkedin"
MAX_FIELD_CHARACTERS = 1 << 20
MAX_FILE_BYTES = 256 * 1024 * 1024
LINE_BREAK = re.compile(r"\r\n|\r|\n")
QUOTED_BREAK = re.compile(r'"(?:\r\n|\r|\n)"')
QUOTES = re.compile('"+')


def share_rows(file: Path, author_id: str) -> Iterator[Item]:
    """Yield the posts of an export; a share without words of one's own is skipped."""
    if file.stat().st_size > MAX_FILE_BYTES:
        yield Refused(str(file), f"it is larger than {MAX_FILE_BYTES >> 20} MB, more than an export ever is")
        return
    decoded = decode(file.read_bytes())
    if decoded is None:
        yield Refused(str(file), "it is binary, not CSV")
        return
    if decoded.guessed:
        yield Guessed(str(file))
    rows = csv.reader(io.StringIO(decoded.text, newline=""))
    csv.field_size_limit(MAX_FIELD_CHARACTERS)
    try:
        header = [_column(name) for name in next(rows, [])]
        if not header:
            yield Skipped("empty", str(file))
        elif "sharecommentary" not in header:
            yield Refused(
                str(file), "it has no column ShareCommentary: a LinkedIn export's Shares.csv has one"
            )
        else:
            yield from _posts(file, rows, header, author_id)
    except csv.Error as error:
        yield Refused(f"{file}:{rows.line_num}", f"it is not CSV from here on ({error})")


def unescape_commentary(text: str) -> str:
    """Undo the export's inner escape, where the whole text bears its marks; return the text as it is else.

    Its marks: every line break stands between quotes, and every other quote is doubled.
    """
    unquoted, breaks = QUOTED_BREAK.subn("\n", text)
    if breaks == len(LINE_BREAK.findall(text)) and all(len(run) % 2 == 0 for run in QUOTES.findall(unquoted)):
        return unquoted.replace('""', '"').strip()
    return LINE_BREAK.sub("\n", text).strip()


def _posts(file: Path, rows: Any, header: list[str], author_id: str) -> Iterator[Item]:
    line = rows.line_num + 1
    for row in rows:
        where, line = f"{file}:{line}", rows.line_num + 1
        if not row:
            continue
        if len(row) != len(header):
            yield Refused(where, f"it has {len(row)} columns where the header has {len(header)}")
            continue
        yield _post(where, dict(zip(header, row, strict=True)), author_id)


def _post(where: str, row: dict[str, str], author_id: str) -> Item:
    text = unescape_commentary(row["sharecommentary"])
    if not text:
        return Skipped("a share without own words", where)
    link = row.get("sharelink", "").strip()
    date = row.get("date", "").strip()
    identity = link or hashlib.sha256(f"{author_id}\n{date}\n{text}".encode()).hexdigest()[:32]
    optional = {
        "link": link,
        "image": row.get("mediaurl", "").strip(),
        "shared_url": row.get("sharedurl", "").strip(),
        "visibility": row.get("visibility", "").strip(),
        "date": as_time(date),
    }
    document = {"platform": PLATFORM, "content": {"text": text}, "author_id": author_id}
    present = {name: value for name, value in optional.items() if value}
    return Taken({"_id": document_id(PLATFORM, identity), **document, **present}, where)


def _column(name: str) -> str:
    return name.replace(" ", "").lower()
