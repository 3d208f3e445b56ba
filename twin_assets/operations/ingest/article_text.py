"""An article's text and what it says of itself: front matter, HTML metadata, its first heading."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import trafilatura
import yaml
from frontmatter.default_handlers import YAMLHandler

from twin_assets.operations.ingest.dates import as_time

FRONT_MATTER = re.compile(r"\A(---|\+\+\+)[ \t]*\n(.*?)(?:^\1[ \t]*(?:\n|\Z))", re.DOTALL | re.MULTILINE)
HEADING = re.compile(r"^#[ \t]+(.+?)[ \t#]*$", re.MULTILINE)
LINKS = ("link", "url", "canonical_url", "permalink")
AUTHORS = ("author_id", "author", "authors")
SUMMARIES = ("subtitle", "description", "summary")


class ArticleError(Exception):
    """Raised when a file's front matter cannot be read; `line` counts from 1, 0 is unknown."""

    def __init__(self, reason: str, line: int = 0) -> None:
        super().__init__(reason)
        self.reason = reason
        self.line = line


@dataclass(frozen=True)
class Article:
    """A text and what is known of it; `date` is a time in UTC, or what the author wrote."""

    text: str
    title: str | None = None
    link: str | None = None
    author: str | None = None
    platform: str | None = None
    subtitle: str | None = None
    date: Any = None

    def content(self, name: str) -> dict[str, str]:
        """Return the document's content; `name` stands in for a title."""
        parts = {"title": self.title or name, "subtitle": self.subtitle, "content": self.text}
        return {part: text for part, text in parts.items() if text}


def read_markdown(text: str) -> Article:
    """Read Markdown with YAML (`---`) or TOML (`+++`) front matter. Raises ArticleError where broken."""
    text = _with_line_feeds(text)
    found = FRONT_MATTER.match(text)
    matter = _front_matter(found) if found else None
    if found is None or matter is None:
        return Article(text=text.strip(), title=_heading(text))
    body = text[found.end() :]
    return Article(
        text=body.strip(),
        title=_first(matter, ("title",)) or _heading(body),
        link=_first(matter, LINKS),
        author=_first(matter, AUTHORS),
        platform=_first(matter, ("platform",)),
        subtitle=_first(matter, SUMMARIES),
        date=as_time(matter.get("date")),
    )


def read_text(text: str) -> Article:
    """Read plain text: all of it, without a title of its own."""
    return Article(text=_with_line_feeds(text).strip())


def read_html(text: str) -> Article:
    """Read the main text of a page, without navigation, footers and the like; empty where there is none."""
    page = trafilatura.bare_extraction(text, include_comments=False, with_metadata=True)
    if page is None or isinstance(page, dict):
        return Article(text="")
    return Article(
        text=page.text or "",
        title=page.title or None,
        link=page.url or None,
        author=page.author or None,
        subtitle=page.description or None,
        date=as_time(page.date),
    )


def _front_matter(found: re.Match[str]) -> Mapping[str, Any] | None:
    """Return the fields, or None where the first block is none: text between two rules."""
    try:
        if found[1] == "+++":
            return tomllib.loads(found[2])
        matter = YAMLHandler().load(found[2])
    except tomllib.TOMLDecodeError as error:
        raise ArticleError(f"its front matter is no TOML ({error})") from None
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 2 if error.problem_mark else 0
        raise ArticleError(f"its front matter is no YAML ({error.problem or error.context})", line) from None
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise ArticleError(f"its front matter is no YAML ({' '.join(str(error).split())})") from None
    if matter is None:
        return {}
    return matter if isinstance(matter, Mapping) else None


def _first(matter: Mapping[str, Any], names: tuple[str, ...]) -> str | None:
    """Return the first of some fields that says something; of a list its first item, of a person the name."""
    for name in names:
        value = matter.get(name)
        if isinstance(value, list):
            value = value[0] if value else None
        if isinstance(value, Mapping):
            value = value.get("name")
        if value is not None and str(value).strip():
            return str(value).strip()
    return None


def _heading(text: str) -> str | None:
    found = HEADING.search(text)
    return found[1] if found else None


def _with_line_feeds(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\r", "\n")
