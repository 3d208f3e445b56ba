"""What installed Python packages say of themselves, as articles: real text that every installation has."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import distributions

from twin_assets.operations.ingest.report import Taken

PLATFORM = "python-package"
AUTHOR = "package-authors"
OWN_PACKAGE = "twin-assets"
# Shorter ones say nothing, longer ones are change logs.
MIN_CHARACTERS = 600
MAX_CHARACTERS = 60_000
LINK_LABELS = ("homepage", "source", "source code", "repository", "github", "documentation")


@dataclass(frozen=True)
class PackageText:
    """A package's long description (Markdown or reStructuredText) and where it is at home."""

    name: str
    summary: str
    text: str
    link: str

    def article(self, source: str) -> Taken:
        """Return the article of this package, named below `source`."""
        content = {"title": self.name, "subtitle": self.summary, "content": self.text}
        document = {
            "_id": f"{source}/packages/{self.name}",
            "platform": PLATFORM,
            "link": self.link,
            "content": {name: text for name, text in content.items() if text},
            "author_id": AUTHOR,
        }
        return Taken(document, self.name)


def package_texts() -> Iterator[PackageText]:
    """Yield the descriptions of all installed packages but our own, each package once."""
    seen = {OWN_PACKAGE}
    for distribution in distributions():
        about = distribution.metadata.json
        name = re.sub(r"[-_.]+", "-", str(about.get("name", ""))).lower()
        text = str(about.get("description", "")).strip()
        if name and name not in seen and MIN_CHARACTERS <= len(text) <= MAX_CHARACTERS:
            seen.add(name)
            yield PackageText(name, str(about.get("summary", "")).strip(), text, _link(about, name))


def _link(about: Mapping[str, str | list[str]], name: str) -> str:
    urls: dict[str, str] = {}
    for entry in about.get("project_url", []):
        label, _, url = entry.partition(",")
        urls.setdefault(label.strip().lower(), url.strip())
    home = next((urls[label] for label in LINK_LABELS if label in urls), "")
    return str(about.get("home_page", "")).strip() or home or f"pkg:pypi/{name}"
