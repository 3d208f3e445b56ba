"""The demo's documents, all of them real text that is already on this machine; nothing is fetched.

Posts: `samples/`. Articles: this project's documentation, and what installed Python packages say of
themselves. Repositories: this project's own code and two small installed packages.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from importlib import metadata
from itertools import chain
from math import ceil
from pathlib import Path

from twin_assets.errors import ConfigurationError
from twin_assets.models.kinds import DataType
from twin_assets.operations.ingest.articles import read_articles
from twin_assets.operations.ingest.package_texts import PackageText, package_texts
from twin_assets.operations.ingest.posts import read_posts
from twin_assets.operations.ingest.report import IngestReport, Item, ProgressCallback, Taken
from twin_assets.operations.ingest.repository import read_repository
from twin_assets.operations.ingest.write import ingest_items
from twin_assets.source.writer import DocumentWriter

SOURCE = "demo"
OWNER = "twin-assets"
SAMPLES = Path("samples") / "posts.jsonl"
OWN_DOCUMENTS = ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "samples/README.md", "docs", "deploy")
# Its documentation is among the articles, its samples among the posts; its tests would double the first sync.
NOT_OWN_CODE = frozenset({"benchmarks", "constraints.txt", "docs", "samples", "twin_assets_tests"})
SMALL_PACKAGES = {"python-frontmatter": "frontmatter", "shellingham": "shellingham"}
MIN_ARTICLES = 60
# Measured with the default settings: what a chunk takes off a text, and what a chunk of code (160 tokens)
# costs the encoder in chunks of prose (120 tokens).
PROSE_CHUNK_CHARACTERS = 400
CODE_CHUNK_CHARACTERS = 550
CODE_CHUNK_COST = 1.4
# About two minutes of a two-core machine at 20 to 25 chunks of prose per second, the stream's start included.
FIRST_SYNC_CHUNKS = 2600


@dataclass(frozen=True)
class DemoReport:
    """What the demo ingested, one report per type; `chunks` is an estimate for the default settings."""

    posts: IngestReport
    articles: IngestReport
    repositories: IngestReport
    chunks: int

    def __iter__(self) -> Iterator[IngestReport]:
        return iter((self.posts, self.articles, self.repositories))


def ingest_demo(
    writer: DocumentWriter,
    *,
    root: Path | None = None,
    first_sync_chunks: int = FIRST_SYNC_CHUNKS,
    progress: ProgressCallback | None = None,
) -> DemoReport:
    """Ingest the demo's documents; again: put back what was edited, and remove what is gone.

    `first_sync_chunks` bounds the work of the first sync, in chunks of prose; articles are taken by size, the
    smallest first, until it is spent, but never fewer than MIN_ARTICLES of packages. Raises
    ConfigurationError where the samples are missing: the demo needs a checkout of the project.
    """
    root = root or project_root()
    posts = list(read_posts(root / SAMPLES))
    repositories = list(_repositories(root))
    documents = list(_own_documents(root))
    spent = prose_chunks(posts) + prose_chunks(documents) + ceil(code_chunks(repositories) * CODE_CHUNK_COST)
    articles = documents + list(chosen(package_texts(), first_sync_chunks - spent))
    reports = {
        data_type: ingest_items(items, writer, data_type, source=SOURCE, prune=True, progress=progress)
        for data_type, items in (
            (DataType.POSTS, posts),
            (DataType.ARTICLES, articles),
            (DataType.REPOSITORIES, repositories),
        )
    }
    return DemoReport(
        posts=reports[DataType.POSTS],
        articles=reports[DataType.ARTICLES],
        repositories=reports[DataType.REPOSITORIES],
        chunks=prose_chunks(posts) + prose_chunks(articles) + code_chunks(repositories),
    )


def project_root() -> Path:
    """Return the checkout that this package runs from. Raises ConfigurationError where there is none."""
    root = Path(__file__).resolve().parents[3]
    if not (root / SAMPLES).is_file():
        raise ConfigurationError(
            f"the demo's posts are missing: {root / SAMPLES} does not exist; run it from a checkout of the "
            "project (pip install -e .), or ingest documents of your own with `twin ingest`"
        )
    return root


def chosen(texts: Iterable[PackageText], chunks: int) -> Iterator[Taken]:
    """Yield articles of the smallest texts until `chunks` are spent, at least MIN_ARTICLES of them."""
    for number, text in enumerate(sorted(texts, key=lambda text: (len(text.text), text.name))):
        article = text.article(SOURCE)
        chunks -= prose_chunks([article])
        if chunks < 0 and number >= MIN_ARTICLES:
            return
        yield article


def prose_chunks(items: Iterable[Item]) -> int:
    """Estimate how many chunks some posts or articles make."""
    return sum(ceil(size / PROSE_CHUNK_CHARACTERS) for size in _sizes(items))


def code_chunks(items: Iterable[Item]) -> int:
    """Estimate how many chunks some repositories make; every file is cut on its own."""
    return sum(
        ceil(len(text) / CODE_CHUNK_CHARACTERS)
        for item in items
        if isinstance(item, Taken)
        for text in item.document["content"].values()
    )


def _sizes(items: Iterable[Item]) -> Iterator[int]:
    for item in items:
        if isinstance(item, Taken):
            yield sum(len(str(text)) for text in item.document["content"].values())


def _own_documents(root: Path) -> Iterator[Item]:
    present = [root / name for name in OWN_DOCUMENTS if (root / name).exists()]
    return chain.from_iterable(_own_articles(root, path) for path in present)


def _own_articles(root: Path, path: Path) -> Iterator[Item]:
    folder = path if path.is_dir() else path.parent
    source = "/".join((SOURCE, *folder.relative_to(root).parts))
    return read_articles(path, author_id=OWNER, platform=OWNER, source=source)


def _repositories(root: Path) -> Iterator[Item]:
    yield from read_repository(
        root, name=f"{SOURCE}/twin_assets", owner_id=OWNER, title="twin_assets", leave_out=NOT_OWN_CODE
    )
    for package, folder in SMALL_PACKAGES.items():
        code = Path(str(metadata.distribution(package).locate_file(folder)))
        yield from read_repository(
            code, name=f"{SOURCE}/{package}", owner_id=package, link=f"pkg:pypi/{package}"
        )
