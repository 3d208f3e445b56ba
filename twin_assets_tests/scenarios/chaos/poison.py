"""Documents and messages of which each is refused by another part, and what has to be said of it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import aio_pika

from twin_assets.broker.codec import MAX_BODY_BYTES
from twin_assets.broker.topology import queue_name
from twin_assets.models.change import DeadLetter
from twin_assets.operations.twin import Twin
from twin_assets_tests.scenarios.documents import article, post, repository, words

MAX_CHUNKS = 40
UNENCODABLE = "unencodable"
UNSOUND = "unsound"
TEXT = "SECRETTEXT"
CHANGE = {"v": 1, "kind": "change", "type": "posts", "entry": "int:1", "revision": 5, "hint": "upsert"}


@dataclass(frozen=True)
class Poison:
    """What a document becomes, which stage refuses it, and a word of the reason."""

    collection: str
    fields: dict[str, Any]
    stage: str
    reason: str


def _post(**fields: Any) -> dict[str, Any]:
    return {"platform": "p", "author_id": "a", "content": {"text": TEXT}, **fields}


def _article(**fields: Any) -> dict[str, Any]:
    return {"platform": "p", "link": "l", "author_id": "a", "content": {"text": TEXT}, **fields}


def _repository(content: Any, **fields: Any) -> dict[str, Any]:
    return {"name": "n", "link": "l", "owner_id": "o", "content": content, **fields}


# Each line is a chunk, and three slices of them are embedded, those that are refused first and last.
LINES = [f"line {number:02} {'x' * 40}" for number in range(MAX_CHUNKS - 2)]
REFUSED_TWICE = {"first": UNENCODABLE, "more": "\n\n".join(LINES), "last": f"{UNENCODABLE} {'y' * 46}"}
LONG = words(60 * MAX_CHUNKS, prefix=TEXT)
POISONS = {
    "no author": Poison("posts", {"platform": "p", "content": {"text": TEXT}}, "validating", "author_id"),
    "author is a flag": Poison("posts", _post(author_id=True), "validating", "author_id"),
    "author is empty": Poison("posts", _post(author_id=""), "validating", "author_id"),
    "content is a list": Poison("posts", _post(content=[TEXT]), "validating", "content"),
    "content is a text": Poison("posts", _post(content=TEXT), "validating", "content"),
    "content is empty": Poison("posts", _post(content={}), "validating", "content"),
    "content is None": Poison("posts", _post(content=None), "validating", "content"),
    "bytes": Poison("posts", _post(content={"text": b"\x00\xff"}), "validating", "bytes"),
    "link is a number": Poison("articles", _article(link=7), "validating", "link"),
    "no link": Poison(
        "articles", {"platform": "p", "author_id": "a", "content": {"t": TEXT}}, "validating", "link"
    ),
    "file is a number": Poison("repositories", _repository({"a.py": 5}), "validating", "a.py"),
    "file is an object": Poison("repositories", _repository({"a": {"b": TEXT}}), "validating", "content"),
    "no owner": Poison(
        "repositories", {"name": "n", "link": "l", "content": {"a": TEXT}}, "validating", "owner_id"
    ),
    "emoji alone": Poison("posts", _post(content={"text": "🎉🎉"}), "cleaning", "no text"),
    "white space alone": Poison("articles", _article(content={"text": " \n\t "}), "cleaning", "no text"),
    "unreadable files alone": Poison("repositories", _repository({"a.py": None}), "cleaning", "no text"),
    "too long a post": Poison("posts", _post(content={"text": LONG}), "chunking", "TWIN_MAX_CHUNKS"),
    "too many files": Poison(
        "repositories",
        _repository({f"{number}.py": f"x = {number}" for number in range(MAX_CHUNKS + 1)}),
        "chunking",
        "TWIN_MAX_CHUNKS",
    ),
    "encoder raises": Poison("posts", _post(content={"text": UNENCODABLE}), "embedding", "ValueError"),
    "encoder raises twice": Poison("posts", _post(content=REFUSED_TWICE), "embedding", "ValueError"),
    "encoder answers nonsense": Poison(
        "articles", _article(content={"text": UNSOUND}), "embedding", "vector"
    ),
}
GARBAGE: dict[str, bytes] = {
    "no JSON": b"not json",
    "no UTF-8": b'{"v":1,"kind":"\xff"}',
    "no object": b"[1]",
    "nothing": b"",
    "another version": b'{"v":99}',
    "another kind": b'{"v":1,"kind":"song"}',
    "a dead letter": b'{"v":1,"kind":"dead_letter"}',
    "another type": json.dumps(CHANGE | {"type": "songs", "force": False}).encode(),
    "another id": json.dumps(CHANGE | {"entry": "float:1", "force": False}).encode(),
    "a field twice": b'{"v":1,"v":1,"kind":"change"}',
    "a field missing": json.dumps(CHANGE).encode(),
    "no number": b'{"v":1,"kind":"marker","position":NaN}',
    "a revision beyond float64": json.dumps(CHANGE | {"revision": 2**60, "force": False}).encode(),
    "a flag that is a number": json.dumps(CHANGE | {"force": 1}).encode(),
    "nested too deeply": b'{"v":' * 5000,
    "a time without a zone": b'{"v":1,"kind":"marker","position":5,"sent_at":"2026-01-01T00:00:00"}',
    "too long": b'{"v":1,"kind":"' + b"x" * MAX_BODY_BYTES + b'"}',
}


def good(name: str, poison: Poison) -> dict[str, Any]:
    """Return the last good version of the document that will be poisoned."""
    make: dict[str, Callable[[], dict[str, Any]]] = {
        "posts": lambda: post(name, f"good {name}"),
        "articles": lambda: article(name, f"good {name}"),
        "repositories": lambda: repository(name, {"a.md": f"good {name}"}),
    }
    return make[poison.collection]()


def letters(twin: Twin) -> list[DeadLetter]:
    return [stored.letter for stored in twin.dead_letters.peek(1000)]


@contextmanager
def unchanged_letters(twin: Twin) -> Iterator[None]:
    """Assert that the block adds no letter and takes none out."""
    before = letters(twin)
    yield
    assert letters(twin) == before


def publish_bodies(twin: Twin, bodies: Sequence[bytes], queue: int = 0) -> None:
    """Put messages into a queue as another program would."""

    async def send() -> None:
        async with await aio_pika.connect(twin.settings.require_url("rabbitmq_url")) as connection:
            channel = await connection.channel()
            for body in bodies:
                message = aio_pika.Message(body, delivery_mode=aio_pika.DeliveryMode.PERSISTENT)
                await channel.default_exchange.publish(message, queue_name(queue))

    asyncio.run(send())
