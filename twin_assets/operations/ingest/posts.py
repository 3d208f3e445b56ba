"""Posts: JSON lines, and the Shares.csv of a LinkedIn data export.

A post's `_id` is `platform/id` where its line has an `id`, else `platform/link`, else `platform/` and a hash
of author and text: an edit of a post with neither id nor link is a new post (pruning removes the former one).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

from twin_assets.models.kinds import DataType
from twin_assets.operations.ingest.dates import as_time
from twin_assets.operations.ingest.decoding import document_id
from twin_assets.operations.ingest.json_lines import json_objects
from twin_assets.operations.ingest.report import (
    Gone,
    IngestReport,
    Item,
    ProgressCallback,
    Refused,
    Skipped,
    Taken,
)
from twin_assets.operations.ingest.shares import share_rows
from twin_assets.operations.ingest.tree import is_there
from twin_assets.operations.ingest.write import ingest_items
from twin_assets.source.writer import DocumentWriter

DEFAULT_PERSON = "me"
OPTIONAL_TEXT = ("link", "image")


def ingest_posts(
    files: Sequence[Path],
    writer: DocumentWriter,
    *,
    author_id: str = DEFAULT_PERSON,
    platform: str | None = None,
    source: str | None = None,
    prune: bool = False,
    progress: ProgressCallback | None = None,
) -> IngestReport:
    """Take the posts of JSON-lines files and LinkedIn's Shares.csv (told apart by the ending .csv).

    `author_id` and `platform` stand in where a line has none; `source` names all files together as one
    source, which makes their folder irrelevant. A wrong line is refused by file:line, its neighbours are not.
    """
    report = IngestReport(DataType.POSTS)
    readers = {
        str(file.resolve()): read_posts(file, author_id=author_id, platform=platform) for file in files
    }
    if source is not None:
        readers = {source: chain.from_iterable(readers.values())}
    for name, items in readers.items():
        report.merge(ingest_items(items, writer, DataType.POSTS, source=name, prune=prune, progress=progress))
    return report


def read_posts(file: Path, *, author_id: str = DEFAULT_PERSON, platform: str | None = None) -> Iterator[Item]:
    """Yield a file's posts line by line, in constant memory."""
    if not is_there(file):
        yield Gone(str(file))
        return
    rows = share_rows(file, author_id) if file.suffix.lower() == ".csv" else _lines(file, author_id, platform)
    try:
        yield from rows
    except OSError as error:
        yield Refused(str(file), f"it cannot be read ({error.strerror})")


def _lines(file: Path, author_id: str, platform: str | None) -> Iterator[Item]:
    for line in json_objects(file):
        if isinstance(line, tuple):
            where, fields = line
            yield _post(where, fields, author_id, platform)
        else:
            yield line


def _post(where: str, fields: dict[str, Any], author_id: str, platform: str | None) -> Item:
    content = fields.get("content")
    if isinstance(content, str):
        content = {"text": content} if content.strip() else {}
    if content is None or not isinstance(content, dict):
        return Refused(where, "the field content must be there, as text or as an object")
    if not content:
        return Skipped("no text", where)
    site = fields.get("platform") or platform
    if not isinstance(site, str):
        return Refused(where, "the field platform is missing, as in linkedin")
    author = _plain(fields.get("author_id"), author_id)
    if not isinstance(author, str):
        return Refused(where, "the field author_id must be text or a number")
    document = {"platform": site, "content": content, "author_id": author}
    document |= {name: fields[name] for name in OPTIONAL_TEXT if fields.get(name) is not None}
    if fields.get("date") is not None:
        document["date"] = as_time(fields["date"])
    identity = _plain(fields.get("id", fields.get("_id", fields.get("link"))), text_identity(author, content))
    if not isinstance(identity, str):
        return Refused(where, "the field id must be text or a number")
    return Taken({"_id": document_id(site, identity), **document}, where)


def _plain(value: Any, default: str) -> Any:
    """Return an id as text: a number's digits, the hex of mongoexport's {"$oid": …}, the default for None."""
    if isinstance(value, dict) and value.keys() == {"$oid"}:
        return value["$oid"]
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    return default if value is None else value


def text_identity(author: str, content: Any) -> str:
    """Return what names a post that has neither id nor link."""
    return hashlib.sha256(repr((author, content)).encode("utf-8", "surrogatepass")).hexdigest()[:32]
