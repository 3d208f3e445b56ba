"""Repositories: a folder or git checkout becomes one document, path → text, or several above 16 MB.

The `_id` is the root's absolute path, or `source/name` where a source is given; a part of a split repository
has `#folder` behind it. All documents of one root replace the former ones together: no part of another split
is left over.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Generator, Iterator, Sequence
from pathlib import Path
from urllib.parse import urlsplit

from twin_assets.models.kinds import DataType
from twin_assets.operations.ingest.decoding import (
    decode,
    document_id,
    without_surrogates,
)
from twin_assets.operations.ingest.packing import pack
from twin_assets.operations.ingest.posts import DEFAULT_PERSON
from twin_assets.operations.ingest.report import (
    Gone,
    Guessed,
    IngestReport,
    Item,
    Noted,
    ProgressCallback,
    Refused,
    Skipped,
    Taken,
)
from twin_assets.operations.ingest.tree import TreeFile, is_there, walk
from twin_assets.operations.ingest.write import ingest_items
from twin_assets.source.writer import MAX_DOCUMENT_BYTES, DocumentWriter

MAX_FILE_BYTES = 1024 * 1024
# What a document holds beside its files: its id, name, link and owner.
ENVELOPE_BYTES = 16 * 1024
# BSON spends a type byte, a length of four and two terminators on every string.
STRING_BYTES = 7
REMOTE = re.compile(r'^\[remote "origin"\]\s*\n((?:(?!\[).*\n?)*)', re.MULTILINE)
URL_LINE = re.compile(r"^\s*url\s*=\s*(\S+)", re.MULTILINE)
SCP_LIKE = re.compile(r"^(?:[\w.-]+@)?([\w.-]+):(?!//)/?(.+)$")


def ingest_repository(
    paths: Sequence[Path],
    writer: DocumentWriter,
    *,
    owner_id: str = DEFAULT_PERSON,
    source: str | None = None,
    max_file_bytes: int = MAX_FILE_BYTES,
    prune: bool = False,
    progress: ProgressCallback | None = None,
) -> IngestReport:
    """Take folders as repositories, each one a source of its own (`source/name` where a source is given).

    `prune` removes what a folder had brought that is gone or has no text left.
    """
    report = IngestReport(DataType.REPOSITORIES)
    for path in paths:
        root = path.resolve()
        name = document_id(str(root)) if source is None else document_id(source, root.name)
        items = read_repository(root, name=name, owner_id=owner_id, max_file_bytes=max_file_bytes)
        report.merge(
            ingest_items(
                items,
                writer,
                DataType.REPOSITORIES,
                source=name,
                prune=prune,
                replace=True,
                progress=progress,
            )
        )
    return report


def read_repository(
    root: Path,
    *,
    name: str,
    owner_id: str = DEFAULT_PERSON,
    link: str | None = None,
    title: str | None = None,
    leave_out: Collection[str] = (),
    max_file_bytes: int = MAX_FILE_BYTES,
    max_document_bytes: int = MAX_DOCUMENT_BYTES,
) -> Iterator[Item]:
    """Yield what was left out, then the documents, one in memory at a time; `name` is the `_id`.

    `title` is the folder's name where it is not given; `leave_out` names top-level files and folders.
    """
    if not is_there(root):
        yield Gone(str(root))
        return
    if not root.is_dir():
        yield Refused(str(root), "a repository is a folder, not a file")
        return
    limit = max_document_bytes - ENVELOPE_BYTES
    files = yield from _measured_files(root, leave_out, max_file_bytes, limit)
    parts = list(pack({path: cost for path, (_, cost) in files.items()}, limit))
    if len(parts) > 1:
        yield Noted(_split_note(root, [folder for folder, _ in parts]))
    common = {"link": link or repository_link(root), "owner_id": owner_id}
    for folder, paths in parts:
        content = {path: text for path in paths if (text := _text(files[path][0])) is not None}
        label = "/".join(filter(None, (title or root.name, folder)))
        part_id = document_id(f"{name}#{folder}") if folder else name
        yield Taken({"_id": part_id, "name": label, **common, "content": content}, label)
    if not parts:
        yield Skipped("no text in the whole folder", str(root))


def repository_link(root: Path) -> str:
    """Return the web address of a checkout's origin, never with credentials; else a file URI."""
    try:
        config = (root / ".git" / "config").read_text("utf-8", "replace")
    except OSError:
        return root.as_uri()
    remote = REMOTE.search(config)
    url = URL_LINE.search(remote[1]) if remote else None
    return _public_url(url[1]) if url else root.as_uri()


def _public_url(url: str) -> str:
    if scp := SCP_LIKE.match(url):
        url = f"https://{scp[1]}/{scp[2]}"
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    scheme = "https" if parts.scheme in {"ssh", "git", "git+ssh"} else parts.scheme
    if scheme != parts.scheme:
        host = host.partition(":")[0]
    return parts._replace(scheme=scheme, netloc=host, query="", fragment="").geturl().removesuffix(".git")


def _measured_files(
    root: Path, leave_out: Collection[str], max_file_bytes: int, limit: int
) -> Generator[Item, None, dict[str, tuple[TreeFile, int]]]:
    """Yield what is left out; return the text files by name, each with the bytes that it takes in BSON."""
    files: dict[str, tuple[TreeFile, int]] = {}
    for found in walk(root, max_file_bytes=max_file_bytes):
        name = found.name if isinstance(found, TreeFile) else found.where
        if name.partition("/")[0] in leave_out:
            continue
        if not isinstance(found, TreeFile):
            yield found
            continue
        cost, items = _measure(found, limit)
        yield from items
        if cost is not None:
            files[without_surrogates(found.name)] = found, cost
    return files


def _measure(file: TreeFile, limit: int) -> tuple[int | None, list[Item]]:
    """Return the bytes that a file takes up in BSON, or None and why it is left out."""
    try:
        raw = file.path.read_bytes()
    except OSError as error:
        return None, [Skipped("unreadable", f"{file.name} ({error.strerror})")]
    decoded = decode(raw)
    if decoded is None:
        return None, [Skipped("binary", file.name)]
    cost = len(decoded.text.encode()) + len(file.name.encode("utf-8", "replace")) * 3 + STRING_BYTES
    if cost > limit:
        return None, [Skipped("larger than MongoDB stores in one document", file.name)]
    return cost, [Guessed(file.name)] if decoded.guessed else []


def _text(file: TreeFile) -> str | None:
    try:
        decoded = decode(file.path.read_bytes())
    except OSError:
        return None
    return None if decoded is None else decoded.text


def _split_note(root: Path, folders: list[str]) -> str:
    names = ", ".join(folder or "its own files" for folder in folders[:5])
    more = f" and {len(folders) - 5} more" if len(folders) > 5 else ""
    return (
        f"{root.name} is larger than one MongoDB document: stored as {len(folders)}, by folder: {names}{more}"
    )
