"""The demo's three live changes: edit, shorten and delete a document, and watch each become searchable."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from twin_assets.errors import TwinError
from twin_assets.models.kinds import DataType, Snapshot
from twin_assets.operations.twin import Twin
from twin_assets.source.entries import id_of
from twin_assets.source.writer import storable

LIMIT_S = 120.0
POLL_S = 0.01
ENOUGH_TEXT = 3000


@dataclass(frozen=True)
class Arrival:
    """One change and how long it took from the commit in MongoDB until readers of Qdrant saw it."""

    what: str
    entry: str
    chunks_before: int
    chunks_after: int
    seconds: float


def live_changes(twin: Twin) -> Iterator[Arrival]:
    """Edit, shorten and delete an article each; yield each one's arrival."""
    edited, shortened, deleted = _long_articles(twin, count=3)
    token = f"edited-{uuid.uuid4().hex}"
    yield _observe(twin, "edited", edited, lambda: _append(twin, edited, token), sees=_holds(token))
    yield _observe(twin, "shortened", shortened, lambda: _shorten(twin, shortened), sees=_has_one)
    yield _observe(twin, "deleted", deleted, lambda: _delete(twin, deleted), sees=_is_gone)


def _long_articles(twin: Twin, *, count: int) -> list[str]:
    found: list[str] = []
    for read in twin.source.scan(DataType.ARTICLES):
        for (_, entry), document in read.documents.items():
            if document is not None and len(str(document.get("content"))) > ENOUGH_TEXT:
                found.append(entry)
                if len(found) == count:
                    return found
    raise TwinError(f"the demo needs {count} articles of {ENOUGH_TEXT} characters, there are {len(found)}")


def _observe(
    twin: Twin, what: str, entry: str, change: Callable[[], None], *, sees: Callable[[list[str]], bool]
) -> Arrival:
    before = len(_chunks(twin, entry))
    change()
    committed = time.monotonic()
    while not sees(texts := _chunks(twin, entry)):
        if time.monotonic() - committed > LIMIT_S:
            raise TwinError(f"{what} {entry} did not arrive within {LIMIT_S:.0f} s; see `twin status`")
        time.sleep(POLL_S)
    return Arrival(what, entry, before, len(texts), time.monotonic() - committed)


def _chunks(twin: Twin, entry: str) -> list[str]:
    live = twin.live_generation(Snapshot.VECTOR, DataType.ARTICLES)
    return twin.store.chunk_texts(live.collection, entry) if live else []


def _append(twin: Twin, entry: str, token: str) -> None:
    document = _document(twin, entry)
    content = document["content"]
    last = list(content)[-1]
    _store(twin, entry, document | {"content": content | {last: f"{content[last]}\n\nLive edit {token}."}})


def _shorten(twin: Twin, entry: str) -> None:
    document = _document(twin, entry)
    _store(twin, entry, document | {"content": {"text": "This article was cut down to one sentence."}})


def _delete(twin: Twin, entry: str) -> None:
    twin.writer.remove(DataType.ARTICLES, id_of(entry))


def _document(twin: Twin, entry: str) -> dict[str, Any]:
    document = twin.source.read({DataType.ARTICLES: [entry]}).documents[DataType.ARTICLES, entry]
    if document is None:
        raise TwinError(f"the demo's article {entry} is gone")
    return document


def _store(twin: Twin, entry: str, document: dict[str, Any]) -> None:
    twin.writer.write(DataType.ARTICLES, [storable({"_id": id_of(entry), **document})])


def _holds(token: str) -> Callable[[list[str]], bool]:
    return lambda texts: any(token in text for text in texts)


def _has_one(texts: list[str]) -> bool:
    return len(texts) == 1


def _is_gone(texts: list[str]) -> bool:
    return not texts
