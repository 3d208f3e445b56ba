"""Articles: Markdown with front matter, HTML without its boilerplate, and plain text; files or folders.

An article's `_id` is its file's absolute path, or `source/path` below the folder where a source is given.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import chain
from pathlib import Path

from twin_assets.models.kinds import DataType
from twin_assets.operations.ingest.article_text import (
    Article,
    ArticleError,
    read_html,
    read_markdown,
    read_text,
)
from twin_assets.operations.ingest.decoding import declared_charset, decode, document_id
from twin_assets.operations.ingest.posts import DEFAULT_PERSON
from twin_assets.operations.ingest.report import (
    Gone,
    Guessed,
    IngestReport,
    Item,
    ProgressCallback,
    Refused,
    Skipped,
    Taken,
)
from twin_assets.operations.ingest.tree import TreeFile, is_there, size_text, walk
from twin_assets.operations.ingest.write import ingest_items
from twin_assets.source.writer import MAX_DOCUMENT_BYTES, DocumentWriter

DEFAULT_PLATFORM = "local"
READERS: dict[str, Callable[[str], Article]] = {
    ".md": read_markdown,
    ".markdown": read_markdown,
    ".mdown": read_markdown,
    ".mdx": read_markdown,
    ".html": read_html,
    ".htm": read_html,
    ".xhtml": read_html,
    ".txt": read_text,
    ".text": read_text,
    ".rst": read_text,
    ".adoc": read_text,
    ".org": read_text,
}


def ingest_articles(
    paths: Sequence[Path],
    writer: DocumentWriter,
    *,
    author_id: str = DEFAULT_PERSON,
    platform: str = DEFAULT_PLATFORM,
    source: str | None = None,
    prune: bool = False,
    progress: ProgressCallback | None = None,
) -> IngestReport:
    """Take Markdown, HTML and text files, and those in folders (by ending, .gitignore honoured).

    `author_id` and `platform` stand in where the front matter names none. Each path is a source of its own,
    unless `source` names them all as one, which makes the folders they lie in irrelevant.
    """
    report = IngestReport(DataType.ARTICLES)
    readers = {
        str(path.resolve()): read_articles(path, author_id=author_id, platform=platform, source=source)
        for path in paths
    }
    if source is not None:
        readers = {source: chain.from_iterable(readers.values())}
    for name, items in readers.items():
        report.merge(
            ingest_items(items, writer, DataType.ARTICLES, source=name, prune=prune, progress=progress)
        )
    return report


def read_articles(
    path: Path,
    *,
    author_id: str = DEFAULT_PERSON,
    platform: str = DEFAULT_PLATFORM,
    source: str | None = None,
) -> Iterator[Item]:
    """Yield the articles of a file or folder, one in memory at a time."""
    root = path.resolve()
    base = str(root if root.is_dir() else root.parent) if source is None else source
    for found in _files(root):
        if isinstance(found, TreeFile):
            yield from _article(found, document_id(base, found.name), author_id, platform)
        else:
            yield found


def _files(root: Path) -> Iterator[TreeFile | Item]:
    if not is_there(root):
        yield Gone(str(root))
    elif root.is_dir():
        yield from walk(root, max_file_bytes=MAX_DOCUMENT_BYTES)
    else:
        yield from _one_file(root)


def _one_file(path: Path) -> Iterator[TreeFile | Item]:
    try:
        size = path.stat().st_size
    except OSError as error:
        yield Refused(str(path), f"it cannot be read ({error.strerror})")
        return
    if not path.is_file():
        yield Refused(str(path), "it is neither a file nor a folder")
    elif size == 0:
        yield Skipped("empty", str(path))
    elif size > MAX_DOCUMENT_BYTES:
        yield Skipped(f"larger than {size_text(MAX_DOCUMENT_BYTES)}", str(path))
    else:
        yield TreeFile(path, path.name, size)


def _article(file: TreeFile, identity: str, author_id: str, platform: str) -> Iterator[Item]:
    reader = READERS.get(file.path.suffix.lower())
    if reader is None:
        yield Skipped("no Markdown, HTML or text", file.name)
        return
    try:
        raw = file.path.read_bytes()
    except OSError as error:
        yield Refused(str(file.path), f"it cannot be read ({error.strerror})", identity)
        return
    decoded = decode(raw, declared=declared_charset(raw) if reader is read_html else None)
    if decoded is None:
        yield Skipped("binary", file.name)
        return
    if decoded.guessed:
        yield Guessed(file.name)
    try:
        article = reader(decoded.text)
    except ArticleError as error:
        where = f"{file.path}:{error.line}" if error.line else str(file.path)
        yield Refused(where, error.reason, identity)
        return
    if not article.text.strip():
        yield Skipped("no text", file.name)
        return
    document = {
        "_id": identity,
        "platform": article.platform or platform,
        "link": article.link or file.path.as_uri(),
        "content": article.content(file.path.stem),
        "author_id": article.author or author_id,
    }
    dated = {"date": article.date} if article.date else {}
    yield Taken(document | dated, file.name)
