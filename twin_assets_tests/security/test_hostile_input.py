"""Whoever may write messages or documents gets nothing loaded, read or fetched by them."""

from __future__ import annotations

import json
import os
import pickle
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from twin_assets.broker import strict_json
from twin_assets.broker.codec import (
    MAX_BODY_BYTES,
    MAX_LETTER_BYTES,
    decode,
    decode_dead_letter,
    encode_change,
)
from twin_assets.errors import DocumentRejected, MalformedMessage
from twin_assets.models.change import Change
from twin_assets.models.kinds import DataType
from twin_assets.operations.processors import Processors
from twin_assets.processing.dispatch import RawDispatcher
from twin_assets_tests.processing.builders import document, vector_recipe
from twin_assets_tests.security.watching import watching

CHANGE = Change(type=DataType.POSTS, entry="int:1", revision=1)
FIELDS = json.loads(encode_change(CHANGE))
Watched = Callable[..., tuple[Any, list[str]]]


class _Bomb:
    def __reduce__(self) -> Any:
        return os.system, ("true",)


HOSTILE_BODIES = {
    "pickle": pickle.dumps(_Bomb()),
    "old pickle": pickle.dumps(_Bomb(), protocol=0),
    "yaml tag": b"!!python/object/apply:os.system ['true']",
    "yaml in json": json.dumps("!!python/object/apply:os.system ['true']").encode(),
    "xml entity": b'<!DOCTYPE x [<!ENTITY y SYSTEM "file:///etc/passwd">]><x>&y;</x>',
    "reference": json.dumps({"$ref": "file:///etc/passwd"}).encode(),
    "jsonpickle": json.dumps(FIELDS | {"type": {"py/object": "os.system"}}).encode(),
    "class name": json.dumps(FIELDS | {"kind": "twin_assets.models.change.Change"}).encode(),
    "path as type": json.dumps(FIELDS | {"type": "../../etc/passwd"}).encode(),
    "url as entry": json.dumps(FIELDS | {"entry": "http://192.0.2.1/"}).encode(),
    "object as entry": json.dumps(FIELDS | {"entry": {"$ne": None}}).encode(),
    "nested": b'{"a":' * 10_000 + b"1" + b"}" * 10_000,
    "long number": b'{"v":' + b"9" * 60_000 + b"}",
    "gzip": b"\x1f\x8b\x08\x00" + bytes(60),
}
HOSTILE_TEXTS = [
    "file:///etc/passwd",
    "http://192.0.2.1/steal?x=1 https://192.0.2.1/y ftp://192.0.2.1/z",
    "![picture](http://192.0.2.1/pixel.png) <script src='//192.0.2.1/s'></script>",
    "{{ ''.__class__.__mro__[1].__subclasses__() }} ${jndi:ldap://192.0.2.1/a} $(touch x) `touch x`",
    "!!python/object/apply:os.system ['true']",
    '<!DOCTYPE x [<!ENTITY y SYSTEM "file:///etc/passwd">]><x>&y;</x>',
    "--- \nlayout: !!python/name:os.system\n---\n# include /etc/passwd\n{% include '/etc/passwd' %}",
]
HOSTILE_CONTENTS = [{"text": text} for text in HOSTILE_TEXTS] + [
    {"$ref": "file:///etc/passwd", "$where": "sleep(1)", "__proto__": "x"},
    {"../../../etc/passwd": "import os\nos.system('true')\n", "/etc/shadow": "x", "a\0b.py": "x = 1"},
]


@pytest.fixture(scope="module")
def watched() -> Iterator[Watched]:
    with watching() as watched:
        yield watched


def test_the_watching_sees_a_file_that_is_read_and_a_pickle_that_is_loaded(watched: Watched) -> None:
    _, seen = watched(_read_and_load)
    kinds = {event.partition(" ")[0] for event in seen}
    assert kinds >= {"open", "pickle.find_class", "os.system"}


def _read_and_load() -> None:
    Path(__file__).read_text()
    pickle.loads(HOSTILE_BODIES["pickle"])


@pytest.mark.parametrize("body", HOSTILE_BODIES.values(), ids=HOSTILE_BODIES.keys())
@pytest.mark.parametrize("read", [decode, decode_dead_letter])
def test_a_hostile_message_is_malformed_and_touches_nothing(watched: Watched, read: Any, body: bytes) -> None:
    watched(_refuse, read, b"")  # whatever is loaded once for all refusals is not the message's doing
    said, seen = watched(_refuse, read, body)
    assert seen == []
    assert "\n" not in said
    assert len(said) < 200


def _refuse(read: Any, body: bytes) -> str:
    try:
        read(body)
    except MalformedMessage as error:
        return str(error)
    raise AssertionError("the message was taken")


def test_what_a_change_carries_beyond_its_fields_is_dropped() -> None:
    more = {"$ref": "http://192.0.2.1/x", "content": "text", "__class__": "os.system", "traceback": "x"}
    assert decode(json.dumps(FIELDS | more).encode()) == CHANGE


@pytest.mark.parametrize(
    ("read", "limit"), [(decode, MAX_BODY_BYTES), (decode_dead_letter, MAX_LETTER_BYTES)]
)
def test_a_body_over_the_limit_is_refused_before_it_is_parsed(
    monkeypatch: pytest.MonkeyPatch, read: Any, limit: int
) -> None:
    parsed: list[object] = []
    monkeypatch.setattr(strict_json.json, "loads", lambda text, **_: parsed.append(text) or {})
    for size in (limit, limit + 1):
        assert _refuse(read, b" " * size)
    assert [len(str(text)) for text in parsed] == [limit]


@pytest.mark.parametrize("data_type", DataType)
@pytest.mark.parametrize("content", HOSTILE_CONTENTS, ids=range(len(HOSTILE_CONTENTS)))
def test_a_hostile_document_is_processed_as_text_and_touches_nothing(
    watched: Watched, data_type: DataType, content: dict[str, Any]
) -> None:
    watched(_process, data_type, {"a.py": "x = 1\n", "b.md": "# text"})
    _, seen = watched(_process, data_type, content)
    assert seen == []


def _process(data_type: DataType, content: dict[str, Any]) -> None:
    processors = Processors(max_chunks=100)
    links = {"link": "file:///etc/passwd", "image": "http://192.0.2.1/pixel.png"}
    recipe = vector_recipe()
    raw = RawDispatcher.dispatch(data_type, "int:1", document(data_type, content) | links)
    cleaned = processors.clean(recipe.cleaned, raw)
    assert processors.embed(recipe, processors.chunk(recipe, cleaned))


def test_a_document_with_too_many_chunks_is_refused_before_any_is_embedded() -> None:
    recipe = vector_recipe(chunk_size=50, chunk_overlap=0)
    raw = RawDispatcher.dispatch(DataType.POSTS, "int:1", document(DataType.POSTS, {"text": "word " * 2_000}))
    processors = Processors(max_chunks=10)
    with pytest.raises(DocumentRejected, match="more than 10 chunks"):
        processors.chunk(recipe, processors.clean(recipe.cleaned, raw))
